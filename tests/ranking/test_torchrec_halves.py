"""The halves of the ranker compute what the whole does; test_export.py compares their export."""

import numpy as np
import pytest
import torch

from pigeon_recsys.ranking.features import REQUEST_BAGS
from pigeon_recsys.ranking.run_folder import import_torchrec
from tests.ranking.planted_world import random_batch
from tests.ranking.test_torchrec_ranker import FEATURES

ranker, halves = import_torchrec("torchrec_ranker"), import_torchrec("torchrec_halves")
NUM_ROWS = 40


@pytest.mark.parametrize(("table_dim", "hidden_dim"), [(8, 16), (4, 2)])
def test_two_halves_score_as_the_whole(table_dim: int, hidden_dim: int) -> None:
    """Weights are drawn anew, since texts and context start silent."""
    model = ranker.new_ranker(FEATURES, table_dim, hidden_dim, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    for weights in model.parameters():
        weights.data = torch.randn(weights.shape, generator=generator) / 2
    batch = random_batch(FEATURES, NUM_ROWS, seed=2, num_requests=1)
    of_items = {name: bags for name, bags in batch.bags.items() if name not in REQUEST_BAGS}
    side = batch.side(0)
    items, request = halves.ItemHalf(model).eval(), halves.RequestHalf(model).eval()
    with torch.no_grad():
        state = items(
            torch.from_numpy(batch.image), torch.from_numpy(batch.text), ranker.jagged(of_items)
        )
        found = request(
            state,
            torch.from_numpy(side.taste),
            torch.from_numpy(side.context),
            ranker.jagged(side.bags),
        ).numpy()
    expected = model.probabilities(batch)
    assert state.shape == (NUM_ROWS, items.width)
    assert expected.std() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
