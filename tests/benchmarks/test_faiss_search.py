"""The search benchmark: its clouds are what it says, and its rows are of one run."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import faiss_search
from pigeon_recsys.retrieval.faiss_index import IndexSettings
from tests.benchmarks.conftest import ReadResult


def test_it_writes_recall_speed_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_result: ReadResult
) -> None:
    """Of 2,000 items in 50 lists of some 40, a visit to all lists finds all."""
    monkeypatch.setattr(faiss_search, "PROBES", (1, 64))
    out = tmp_path / "search.json"
    arguments = ["--items", "2000", "--queries", "5", "--clouds", "mixture", "--out", str(out)]
    faiss_search.main(arguments)
    settings, figures = read_result(out)
    assert (settings["items"], settings["default_probes"]) == (2000, IndexSettings().probes)
    told = figures["mixture"]
    one, every = told["by_probes"]
    assert told["lists"] == 50
    assert one["recall_at_10"] < every["recall_at_10"] == 1
    assert every["times_faster"] == pytest.approx(
        every["exact_median_ms"] / every["median_ms"], rel=0.2, abs=0.1
    )
    assert [row["callers"] for row in told["by_callers"]] == [1, 2]
    assert told["within_ms"]["gathered"]["median"] > 0
    assert told["disk_mib"] > 2000 * faiss_search.DIM * 4 / faiss_search.MIB


@pytest.mark.parametrize("cloud", faiss_search.CLOUDS)
def test_a_cloud_holds_unit_vectors_that_its_seed_names(cloud: str) -> None:
    draw = faiss_search.CLOUDS[cloud]
    rows_ND = draw(50, 1)
    np.testing.assert_allclose(np.linalg.norm(rows_ND, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(rows_ND, draw(50, 1))
    assert not np.allclose(rows_ND, draw(50, 2))


def test_the_mixture_is_clustered_and_the_uniform_cloud_is_not() -> None:
    """The nearest other item is far nearer where there are clusters."""

    def nearest(rows_ND: np.ndarray) -> float:
        similarity = rows_ND @ rows_ND.T - 2 * np.eye(len(rows_ND))
        return float(np.median(similarity.max(axis=1)))

    assert nearest(faiss_search.mixture(3000, 1)) > nearest(faiss_search.uniform(3000, 1)) + 0.1
