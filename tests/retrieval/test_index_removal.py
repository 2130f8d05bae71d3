"""What is removed from an index is found no more, and everything else is found as before."""

from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.records import Vectors
from pigeon_recsys.retrieval.faiss_index import FaissIndex, IndexSettings

DIM, COUNT = 8, 60
IDS = [f"item-{number:02d}" for number in range(COUNT)]


def vectors() -> Vectors:
    drawn = np.random.default_rng(7).normal(size=(COUNT, DIM)).astype(np.float32)
    rows: Vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return rows


@pytest.fixture(params=["flat", "ivf"])
def index(request: pytest.FixtureRequest) -> FaissIndex:
    return FaissIndex.build(IDS, vectors(), IndexSettings(kind=request.param))


@pytest.mark.parametrize(
    "gone",
    [["item-03"], ["item-59"], ["item-00", "item-58", "item-59", "item-20"], IDS[30:], IDS, []],
)
def test_the_rest_is_found_as_before(index: FaissIndex, gone: list[str], tmp_path: Path) -> None:
    assert index.remove([*gone, "nowhere", *gone[:1]]) == len(gone)
    left = [item_id for item_id in IDS if item_id not in gone]
    index.save(tmp_path / "index")
    for each in (index, FaissIndex.load(tmp_path / "index")):
        assert set(each.item_ids) == set(left)
        np.testing.assert_array_equal(
            each.vectors(left), vectors()[[IDS.index(item_id) for item_id in left]]
        )
        found = each.search(vectors()[0], COUNT)
        assert {item.item_id for item in found} == set(left)
        for item_id in left[:5]:
            assert each.search(vectors()[IDS.index(item_id)], 1)[0].item_id == item_id
        for item_id in gone[:1]:
            assert each.search(vectors()[0], 9, within=[item_id]) == []
            with pytest.raises(UnknownItem):
                each.vectors([item_id])


def test_what_was_removed_can_be_added_again(index: FaissIndex) -> None:
    index.remove(IDS[:10])
    index.add(IDS[:10], vectors()[:10])
    np.testing.assert_array_equal(index.vectors(IDS), vectors())
