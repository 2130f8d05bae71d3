"""`pigeon-recsys rank calibrate`: what a person meets."""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pigeon_recsys.commands import rank_calibrate
from pigeon_recsys.errors import OutputError, SettingsError
from pigeon_recsys.ranking.calibration import METHODS, PRIOR_OUTCOMES, Calibration
from tests.ranking.planted_outcomes import planted_outcomes


@pytest.fixture
def outcomes_file(tmp_path: Path) -> Path:
    logged = planted_outcomes(2000, 800, excess=1.5)
    path = tmp_path / "outcomes.parquet"
    columns = {
        "user_id": logged.user_ids,
        "source": logged.sources,
        "score": logged.scores,
        "outcome": logged.outcomes.astype(bool),
    }
    pq.write_table(pa.table(columns), path)
    return path


def calibrate(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    rank_calibrate.register(parser.add_subparsers())
    args = parser.parse_args(["calibrate", *arguments])
    result: dict[str, object] = args.run(args)
    return result


def test_it_writes_a_calibration_and_prints_the_gaps_before_and_after(
    outcomes_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "calibration.json"
    result = calibrate("--outcomes", str(outcomes_file), "--out", str(out), "--method", "isotonic")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{out}: isotonic from 2800 outcomes, measured on unseen users"
    assert lines[3].startswith("score gap  +0.3")
    assert lines[4].startswith("rank gap   +0.")
    assert " before, " in lines[4]
    assert lines[4].endswith("] after")
    record = json.loads(json.dumps(result, allow_nan=False))
    assert record["before"]["score"]["gap"] > 5 * abs(record["after"]["score"]["gap"])
    calibration = Calibration.load(out)
    at = np.array([0.5])
    assert calibration.method == "isotonic"
    assert calibration.apply(at, "generated") < calibration.apply(at, "catalog") - 0.1


def test_what_cannot_be_written_is_told_before_any_work(outcomes_file: Path) -> None:
    folder = str(outcomes_file.parent)
    with pytest.raises(OutputError, match="it is a folder. Name a file"):
        calibrate("--outcomes", str(outcomes_file), "--out", folder)


def test_the_options_are_those_of_the_calibration() -> None:
    assert (rank_calibrate.METHODS, rank_calibrate.PRIOR_OUTCOMES) == (METHODS, PRIOR_OUTCOMES)


def test_it_needs_a_log_or_a_table_and_not_both(outcomes_file: Path, tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "calibration.json"))
    for given in ((), ("--log", str(tmp_path), "--outcomes", str(outcomes_file))):
        with pytest.raises(SystemExit):
            calibrate(*given, *out)


def test_a_log_without_outcomes_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no seen item .* Report exposures, wait"):
        calibrate("--log", str(tmp_path), "--out", str(tmp_path / "calibration.json"))
