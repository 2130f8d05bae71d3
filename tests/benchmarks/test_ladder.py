"""The ladder benchmark: three ways take turns, are judged, and the faster ones are faster."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ladder import Seconds, is_new, main, medians, take_turns
from pigeon_recsys.errors import OutputError
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task
from tests.benchmarks.conftest import ReadResult


@pytest.mark.slow
def test_a_user_of_a_small_world_gets_a_picture_each_way(
    tmp_path: Path, read_result: ReadResult, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the shipped weights, as it is measured."""
    out = tmp_path / "ladder.json"
    main(["--out", str(out), "--users", "2", "--items", "60"])
    settings, figures = read_result(out)
    assert 1 <= settings["users"] <= 2
    assert (settings["ratios"], settings["quick_ratio"]) == (11, 0.5)
    times = figures["median_cpu_s"]
    assert times["redraw"] < times["few_steps"] < times["fresh"]
    assert figures["times_faster"]["fresh"] == figures["times_less_cpu"]["fresh"] == 1
    parts = figures["parts_median_cpu_s"]
    assert parts["look_up"] < parts["paint_one_in_all_steps"]
    fresh = figures["quality"]["fresh"]["score"]
    assert (fresh["minus_fresh"]["mean"], fresh["mean"]["num_users"]) == (0, settings["users"])
    assert set(figures["redraw_change"]) == {"redraw", "fresh_of_redraws_seed"}
    assert "redraw" in capsys.readouterr().out


def test_runs_take_turns_task_by_task_after_a_warm_up() -> None:
    calls: list[str] = []
    tasks = [make_task(seed=seed) for seed in (1, 2)]
    runs = {name: lambda task, name=name: calls.append(f"{name}{task.seed}") for name in "ab"}
    given, seconds = take_turns(runs, tasks)
    assert calls == ["a1", "b1", "a1", "b1", "a2", "b2"]
    assert [len(given[name]) for name in "ab"] == [2, 2]
    assert [len(seconds[name]) for name in "ab"] == [2, 2]


def test_times_are_medians() -> None:
    runs = [Seconds(wall_s, cpu_s) for wall_s, cpu_s in ((3.0, 0.1), (1.0, 0.4), (2.5, 0.3))]
    assert medians({"a": runs}, "wall_s") == {"a": 2.5}
    assert medians({"a": runs}, "cpu_s") == {"a": 0.3}


def test_a_picture_is_new_when_any_bit_differs() -> None:
    first, same, other = FakeGenerator().generate(
        [make_task(seed=1), replace(make_task(seed=1), user_id="bob"), make_task(seed=2)]
    )
    assert is_new([first, first], [same, other]) == [False, True]


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        main(["--out", str(tmp_path)])
