"""The slot benchmark: what its figures are made of, and an index filled up for it."""

import numpy as np
import pytest

from benchmarks.slot_latency import LIBRARIES, PARTS, WAYS, filled_up, summary
from pigeon_recsys.retrieval.faiss_index import FaissIndex

MS = {
    **dict.fromkeys(WAYS, 6.0),
    "feast": 1.0,
    "pictures": 0.5,
    "search": 2.0,
    "rank": 0.5,
    "faiss": 1.0,
    "onnx": 0.3,
    "ranking": 4.5,
}


def test_a_slate_is_compared_with_its_parts_and_with_the_libraries_alone() -> None:
    """6 over 1 + 0.5 + 2 + 0.5, and over 1 + 0.5 + 1 + 0.3; the slot adds 6 - 4.5."""
    assert set(MS) == {*WAYS, *PARTS, *LIBRARIES}
    times_ms = {way: [ms, ms, 100 * ms] for way, ms in MS.items()}
    figures = summary(times_ms, [{"ranking": 2.0}, {"ranking": 4.0}])
    assert figures["retrieved_over_parts"] == 1.5
    assert figures["retrieved_over_libraries"] == 2.143
    assert figures["slot_adds_ms"] == 1.5
    assert figures["stages_ms"] == {"ranking": 3.0}
    assert figures["fill"]["median_ms"] == 6.0
    assert figures["fill"]["p99_ms"] == pytest.approx(588, rel=0.01)


def test_a_filled_up_index_finds_its_own_items_before_all_others() -> None:
    rows_ND = np.random.default_rng(0).normal(size=(20, 8)) + 1.5
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
    own = FaissIndex.build([f"own-{n}" for n in range(20)], rows_ND.astype(np.float32))
    index = filled_up(own, 500)
    assert len(index) == 500
    found = [item.item_id for item in index.search(own.vectors(["own-3"])[0], 20)]
    assert set(found) == set(own.item_ids)
    assert filled_up(own, 20) is own
