"""The load benchmark: clients are answered, counted and timed; errors are seen."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from benchmarks import http_load
from benchmarks.http_load import Seen, main, memory_figures, summary
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


def test_memory_is_followed_over_the_second_half() -> None:
    """By the minute: 9, 5, then 10, 12, 14 of the one and ever 7 of the other worker."""
    taken = [(60.0 * minute, [mib, 7.0]) for minute, mib in enumerate((9.0, 5.0, 10.0, 12.0, 14.0))]
    figures = memory_figures(taken)
    assert figures["memory_mib_per_min"] == [2.0, 0.0]
    assert figures["memory_at_s"] == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert figures["worker_memory_mib"][-1] == [14.0, 7.0]


def test_a_process_that_a_thread_has_started_counts_with_its_parent() -> None:
    """So a worker starts its model's anew."""
    with ThreadPoolExecutor(1) as pool:
        child = pool.submit(Popen, [sys.executable, "-c", "input()"], stdin=PIPE).result()
        found = http_load.with_children(Path("/proc", str(os.getpid())))
        child.communicate(b"\n")
    assert found[0] == Path("/proc", str(os.getpid()))
    assert Path("/proc", str(child.pid)) in found[1:]


@pytest.mark.slow
def test_a_service_is_served_and_loaded(
    tmp_path: Path, read_result: ReadResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_load, "WARM_UP_S", 0.5)
    out = tmp_path / "load.json"
    main(["--out", str(out), "--workers", "1", "--duration", "1", "--connections", "2"])
    settings, figures = read_result(out)
    assert settings["slot"] == "fakes"
    assert settings["candidates"] == 100
    assert figures["errors"] == 0
    assert figures["requests"] > 10
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["worst_ms"]
    assert len(figures["worker_memory_mib"]) == len(figures["memory_at_s"]) > 2
    assert all(mib[0] > 0 for mib in figures["worker_memory_mib"])
    assert len(figures["memory_mib_per_min"]) == 1
