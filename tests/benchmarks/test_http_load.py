"""The load benchmark: clients are answered, counted and timed; errors are seen."""

from pathlib import Path

import pytest

from benchmarks import http_load
from benchmarks.http_load import Seen, main, summary
from tests.benchmarks.conftest import ReadResult


def test_figures_are_of_all_requests() -> None:
    """Of the times 1 … 200 ms the median is 100.5 and the 198th is the 99th percentile."""
    seen = Seen([float(number) for number in range(200, 0, -1)], errors=1, own_slates=2)
    assert summary(seen, took_s=4.0) == {
        "requests": 200,
        "requests_per_s": 50.0,
        "p50_ms": 100.5,
        "p99_ms": 198.0,
        "worst_ms": 200.0,
        "errors": 1,
        "own_slates": 2,
    }


@pytest.mark.slow
def test_a_service_is_served_and_loaded(
    tmp_path: Path, read_result: ReadResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_load, "WARM_UP_S", 0.5)
    out = tmp_path / "load.json"
    main(["--out", str(out), "--workers", "1", "--seconds", "1", "--connections", "2"])
    settings, figures = read_result(out)
    assert settings["slot"] == "fakes"
    assert settings["candidates"] == 100
    assert figures["errors"] == 0
    assert figures["requests"] > 10
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["worst_ms"]
    assert len(figures["worker_memory_mib_before"]) == len(figures["worker_memory_mib_after"]) == 1
