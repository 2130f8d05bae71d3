"""`pigeon-recsys rank learn`: what a person meets."""

import json
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from tests.ranking.seen_log import DAY_MS, ITEM, MADE, decision_of, said, seen, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of two days: on each a slate with a liked picture, on the first one without a slot."""
    filled, empty, later = decision_of(1), decision_of(2, is_filled=False), decision_of(DAY_MS)
    entries = [filled, seen(filled, MADE), said(filled, MADE), empty, seen(empty, ITEM)]
    entries += [later, seen(later, MADE), said(later, MADE), said(later, ITEM)]
    return write_log(tmp_path / "log", *entries)


def learn(log: Path, out: Path, *arguments: str) -> int:
    return main(["rank", "learn", "--log", str(log), "--out", str(out), *arguments])


def test_it_writes_beliefs_and_says_from_how_much(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, result = tmp_path / "beliefs.json", tmp_path / "result.json"
    assert learn(log, out, "--item", "beta", "--json", str(result)) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{out}: 3 slates taught the slot, 2 pictures the item; left out: 0 seen slates without a "
        "choice, 0 without a context, 1 exposures whose window is not over, 1 outcomes without an "
        "exposure"
    )
    assert json.loads(result.read_text())["num_slates"] == 3
    told = json.loads(out.read_text())
    assert told["slot"]["counts"] == {"slot": [2.0, 0.0], "no_slot": [0.0, 1.0]}
    assert told["item"]["counts"] == {"picture": [2.0, 0.0]}


def test_day_by_day_from_what_was_known_is_as_all_at_once(log: Path, tmp_path: Path) -> None:
    first, second, whole = (tmp_path / name for name in ("1.json", "2.json", "all.json"))
    beta = ("--item", "beta")
    assert learn(log, first, *beta, "--last-day", "2026-01-01") == 0
    assert json.loads(first.read_text())["slot"]["counts"]["slot"] == [1.0, 0.0]
    assert learn(log, second, "--from", str(first), "--first-day", "2026-01-02") == 0
    assert learn(log, whole, *beta) == 0
    assert json.loads(second.read_text()) == json.loads(whole.read_text())


def test_a_kind_beside_beliefs_that_have_theirs_is_refused(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known.json"
    assert learn(log, known) == 0
    assert learn(log, tmp_path / "out.json", "--from", str(known), "--slot", "beta") == 2
    assert "says what kinds its beliefs are. Leave out --slot, --item." in capsys.readouterr().err


def test_what_is_no_log_and_what_are_no_beliefs_is_named(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert learn(tmp_path / "none", tmp_path / "out.json") == 2
    assert "none is no folder. Name the folder of a decision log." in capsys.readouterr().err
    (tmp_path / "other.json").write_text("{}")
    assert learn(log, tmp_path / "out.json", "--from", str(tmp_path / "other.json")) == 2
    assert "other.json holds no beliefs of slot and item" in capsys.readouterr().err
    assert learn(log, tmp_path / "out.json", "--from", str(tmp_path / "missing.json")) == 2
    assert "cannot read the beliefs in" in capsys.readouterr().err


def test_a_day_that_is_none_is_refused(log: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        learn(log, tmp_path / "out.json", "--first-day", "yesterday")
