"""The model as it is trained; its export is compared in test_export.py."""

from dataclasses import replace

import torch

from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.features import RankFeatures
from pigeon_recsys.ranking.run_folder import import_torchrec
from pigeon_recsys.ranking.vocabulary import Vocabulary
from tests.ranking.planted_world import random_batch

ranker = import_torchrec("torchrec_ranker")

FEATURES = RankFeatures(
    image_dim=12,
    text_dim=6,
    text_version="any",
    history_len=4,
    user=Vocabulary.of(map(str, range(30)), 2),
    item=Vocabulary.of(map(str, range(50)), 2),
    attributes={name: Vocabulary.of("abc", 1) for name in ("style", "mood.now", "user")},
)
TABLE_DIM, HIDDEN_DIM = 8, 16


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
    huge = replace(batch, image=1e6 * batch.image, taste=1e6 * batch.taste)
    scores = model.probabilities(huge)
    assert ((scores > 0) & (scores < 1)).all()


def test_every_table_and_layer_receives_gradients() -> None:
    """Text and context start silent: their layers learn through the vectors they meet."""
    model = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=0)
    model(**ranker.model_inputs(random_batch(FEATURES, 64, seed=1))).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_an_untrained_text_changes_no_score() -> None:
    model = ranker.new_ranker(FEATURES, TABLE_DIM, HIDDEN_DIM, seed=0).eval()
    batch = random_batch(FEATURES, 9, seed=1)
    other = replace(batch, text=-batch.text, context=-batch.context)
    assert (model.probabilities(batch) == model.probabilities(other)).all()


def test_jagged_keeps_every_bag_under_its_name() -> None:
    batch = random_batch(FEATURES, 7, seed=2)
    ids = ranker.jagged(batch.bags)
    for name, bags in batch.bags.items():
        assert isinstance(bags, Bags)
        assert ids[name].values().tolist() == bags.values.tolist()
        assert ids[name].lengths().tolist() == bags.lengths.tolist()
