"""Every benchmark's JSON says where its numbers come from, and is JSON."""

from pathlib import Path

import pytest

from benchmarks._record import write_result
from tests.benchmarks.conftest import ReadResult


def test_a_result_holds_settings_figures_and_their_origin(
    tmp_path: Path, read_result: ReadResult
) -> None:
    out = tmp_path / "made" / "found.json"
    write_result(out, "How long?", {"seed": 3}, {"median_s": 0.5, "p95_s": None})
    assert read_result(out) == ({"seed": 3}, {"median_s": 0.5, "p95_s": None})


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_a_number_that_json_does_not_know_is_refused(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_result(tmp_path / "found.json", "How long?", {}, {"median_s": number})
    assert not (tmp_path / "found.json").exists()
