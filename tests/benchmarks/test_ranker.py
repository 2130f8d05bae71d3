"""The ranker benchmark: both ways agree, and the stages are timed in turns."""

from pathlib import Path

import pytest

from benchmarks import ranker
from benchmarks.ranker import described, main, take_turns
from pigeon_recsys.errors import OutputError
from tests.benchmarks.conftest import ReadResult


@pytest.mark.slow
def test_a_request_is_ranked_by_both_and_timed(
    tmp_path: Path, read_result: ReadResult, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ranker.json"
    main(["--out", str(out), "--candidates", "20", "--repeats", "2"])
    settings, figures = read_result(out)
    assert (settings["candidates"], settings["threads"]) == (20, 1)
    assert set(figures["stages"]) == {
        *("eager", "eager_forward", "onnx", "onnx_items"),
        *("encode_user", "encode_items", "score"),
    }
    ratios = ("times_faster", "times_faster_forward", "times_faster_nothing_kept")
    printed = capsys.readouterr().out
    assert all(figures[name] > 0 and name in printed for name in ratios)


def test_stages_take_turns_and_the_first_turns_do_not_count() -> None:
    calls: list[str] = []
    times = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * (ranker.WARM_UP + 3)
    assert [len(each) for each in times.values()] == [3, 3]


def test_times_are_told_in_milliseconds() -> None:
    """Of 1, 2 and 3 ms the median is 2, the 95th percentile 2.9."""
    told = described([0.003, 0.001, 0.002])
    assert told == {"median_ms": 2.0, "p95_ms": 2.9, "least_ms": 1.0}


def test_a_place_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        main(["--out", str(tmp_path)])
