"""TorchRec and its plain twin give the same scores; the export is compared in test_export.py."""

import numpy as np
import pytest
import torch

from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.features import Batch, RankFeatures
from pigeon_recsys.ranking.run_folder import import_torchrec_ranker
from pigeon_recsys.ranking.vocabulary import Vocabulary
from tests.ranking.planted_world import random_batch

ranker = import_torchrec_ranker()

FEATURES = RankFeatures(
    image_dim=12,
    history_len=4,
    user=Vocabulary.of(map(str, range(30)), 2),
    item=Vocabulary.of(map(str, range(50)), 2),
    attributes={name: Vocabulary.of("abc", 1) for name in ("style", "mood.now", "user")},
)
TABLE_DIM, HIDDEN_DIM = 8, 16


def plain_inputs(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, list[tuple[torch.Tensor, ...]]]:
    bags = [
        (torch.from_numpy(bags.values), torch.from_numpy(bags.offsets))
        for bags in batch.bags.values()
    ]
    return torch.from_numpy(batch.image), torch.from_numpy(batch.taste), bags


def test_the_plain_twin_scores_a_thousand_ragged_rows_alike() -> None:
    model = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=0).eval()
    batch = random_batch(FEATURES, 1000, seed=1)
    assert all((bags.lengths == 0).any() for bags in batch.bags.values())
    with torch.no_grad():
        plain = ranker.PlainRanker(model)(*plain_inputs(batch)).numpy()
    assert plain.std() > 0.001
    np.testing.assert_allclose(plain, model.probabilities(batch), rtol=0, atol=1e-6)


def test_mean_pooling_by_hand() -> None:
    """Bags (rows 0 and 2), (), (row 1) of the table 1, 10, 3: means 2, 0 and 10."""
    table_RE = torch.tensor([[1.0], [10.0], [3.0]])
    pooled = ranker.mean_pool(table_RE, torch.tensor([0, 2, 1]), torch.tensor([0, 2, 2, 3]))
    assert pooled.tolist() == [[2.0], [0.0], [10.0]]


@pytest.mark.parametrize("num_bags", [1, 3])
def test_mean_pooling_of_empty_bags_only_is_zero(num_bags: int) -> None:
    no_values = torch.zeros(0, dtype=torch.int64)
    offsets = torch.zeros(num_bags + 1, dtype=torch.int64)
    pooled = ranker.mean_pool(torch.ones(3, 2), no_values, offsets)
    assert pooled.tolist() == [[0.0, 0.0]] * num_bags


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_generator_alone() -> None:
    state = torch.random.get_rng_state()
    one = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=3).state_dict()
    two = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=3).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_history_and_item_share_one_table() -> None:
    names = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=0).state_dict()
    tables = [name for name in names if "embedding_bags" in name]
    assert len(tables) == 2 + len(FEATURES.attributes)


def test_extreme_pictures_still_score_strictly_between_0_and_1() -> None:
    model = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=0).eval()
    batch = random_batch(FEATURES, 50, seed=1)
    huge = Batch(1e6 * batch.image, 1e6 * batch.taste, batch.bags)
    scores = model.probabilities(huge)
    assert ((scores > 0) & (scores < 1)).all()


def test_every_table_and_the_picture_layer_receive_gradients() -> None:
    model = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=0)
    model.logits(random_batch(FEATURES, 64, seed=1)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_jagged_keeps_every_bag_under_its_name() -> None:
    batch = random_batch(FEATURES, 7, seed=2)
    ids = ranker.jagged(batch)
    for name, bags in batch.bags.items():
        assert isinstance(bags, Bags)
        assert ids[name].values().tolist() == bags.values.tolist()
        assert ids[name].lengths().tolist() == bags.lengths.tolist()
