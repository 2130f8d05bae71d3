"""The sweep benchmark: both ways run, are timed in turns and must write the same tokens."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sweep
from benchmarks.sweep import Run, main, seconds
from pigeon_recsys.errors import OutputError
from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS
from tests.benchmarks.conftest import ReadResult


@pytest.mark.slow
def test_one_user_is_swept_and_run_separately(
    tmp_path: Path, read_result: ReadResult, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the shipped weights, each way in a process of its own as when it is measured."""
    out = tmp_path / "sweep.json"
    main(["--out", str(out), "--users", "1", "--repeats", "1"])
    settings, figures = read_result(out)
    assert settings == {
        "weights": "shipped",
        "users": 1,
        "ratios": len(REFERENCE_RATIOS),
        "repeats": 1,
        "threads": 1,
        "seed": 0,
    }
    assert figures["tokens_equal"] is True
    assert figures["paint_a_users_images_s"] > 0
    assert figures["times_faster"] > 1
    for name in ("sweep", "separate"):
        way = figures[name]
        assert way["median_s"] == way["least_s"] > 0
        assert 0 < way["loaded_memory_mib"] <= way["peak_memory_mib"]
    assert "times faster" in capsys.readouterr().out


def test_times_are_medians_and_the_least() -> None:
    runs = [Run([], wall_s, cpu_s) for wall_s, cpu_s in ((3.0, 0.1), (1.0, 0.4), (2.5, 0.3))]
    assert seconds(runs) == {"median_s": 2.5, "least_s": 1.0, "median_cpu_s": 0.3}


def measured(sweep_token: int, separate_token: int) -> Any:
    """A measurement of one user, one ratio and one token: 2 s against 18 s, CPU 1 s against 8."""
    runs = {
        "sweep": [Run([[[sweep_token]]], 2.0, 1.0)],
        "separate": [Run([[[separate_token]]], 18.0, 8.0)],
    }
    figures = {name: {**seconds(runs[name]), "peak_memory_mib": 1} for name in runs}

    def measure(args: argparse.Namespace) -> tuple[dict[str, list[Run]], dict[str, Any]]:
        return runs, figures

    return measure


def test_the_figures_to_read_are_ratios_of_medians(
    tmp_path: Path, read_result: ReadResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "measure", measured(5, 5))
    main(["--out", str(tmp_path / "sweep.json"), "--weights", str(tmp_path / "run")])
    settings, figures = read_result(tmp_path / "sweep.json")
    assert (figures["times_faster"], figures["times_less_cpu"]) == (9.0, 8.0)
    assert settings["weights"] == "run"


def test_different_tokens_leave_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "measure", measured(5, 6))
    with pytest.raises(AssertionError, match="the two ways wrote different tokens"):
        main(["--out", str(tmp_path / "sweep.json")])
    assert not (tmp_path / "sweep.json").exists()


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        main(["--out", str(tmp_path)])
