"""What is removed from an index is found no more, and everything else is found as before."""

import sys
import threading
from collections.abc import Iterator
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


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as they can, so that what can go wrong does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_threads_search_while_items_come_and_go(index: FaissIndex) -> None:
    """A search in the middle of a removal found items under the ids that others had before."""
    gone, left = IDS[::2], IDS[1::2]
    rows = dict(zip(IDS, vectors(), strict=True))
    stop, faults = threading.Event(), list[str]()

    def search() -> None:
        while not stop.is_set():
            for item_id in left:
                try:
                    found = index.search(rows[item_id], 1)[0].item_id
                    is_same = (index.vectors([item_id])[0] == rows[item_id]).all()
                except Exception as exc:
                    found, is_same = repr(exc), False
                if found != item_id or not is_same:
                    faults.append(f"{item_id}: {found}")

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        index.remove(gone)
        index.add(gone, np.stack([rows[item_id] for item_id in gone]))
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
