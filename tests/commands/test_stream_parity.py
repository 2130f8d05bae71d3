"""`stream parity` on a real Feast: no difference where there is none, and each planted one."""

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pigeon_recsys.commands.stream_parity import register_parity
from pigeon_recsys.errors import HistoriesDiffer, PigeonError, SettingsError
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE, SKIP
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_rows import rows_over_time

NOW_MS = 1_767_225_600_000


def like(user_id: str, number: int, what: str = LIKE, revision: int = 0) -> Interacted:
    return Interacted(user_id, f"e{number}", NOW_MS + number, f"i{number}", what, revision)


LOG: list[HistoryEvent] = [
    like("ada", 5),
    like("ada", 2),  # late
    like("ada", 5),  # twice
    like("ada", 5, SKIP, revision=1),  # corrected
    TakenBack("ada", "e7", NOW_MS + 7),  # before what it takes back
    like("ada", 7),
    like("bob", 1),
    like("bob", 3),
    Erased("bob", NOW_MS + 2),
    like("bob", 0),  # erased before it came
    like("cy", 4),
    Erased("cy", NOW_MS + 9),
    *(like("dan", number) for number in range(300)),  # more than a history holds
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that ingest has brought up to date with the log; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("parity") / "store"
    FeastHistoryStore.create(folder, []).join(states(LOG))
    return folder


def states(events: Sequence[HistoryEvent]) -> Iterable[HistoryState]:
    for user_id in dict.fromkeys(event.user_id for event in events):
        of_user = [event for event in events if event.user_id == user_id]
        yield HistoryState.empty(user_id).merged(of_user)


def write_log(path: Path, events: Iterable[HistoryEvent]) -> Path:
    lines = [JsonEvents().encode(event) for event in events]
    path.write_bytes(b"\n".join([*lines, b"no event"]) + b"\n")
    return path


def parity(log: Path, store: Path, *more: str) -> dict[str, Any]:
    """Run the command as the command line does."""
    parser = argparse.ArgumentParser()
    register_parity(parser.add_subparsers())
    args = parser.parse_args(["parity", "--log", str(log), "--store", str(store), *more])
    result: dict[str, Any] = args.run(args)
    return result


def test_a_log_with_all_that_can_happen_shows_no_difference(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = parity(write_log(tmp_path / "log", LOG), stored, "--moments", "9")
    assert result["differences"] == []
    assert (result["users"], result["events"], result["unusable"]) == (4, len(LOG), 1)
    assert 4 < result["moments"] <= (3 + 4 + 2 + 9) + 4
    assert f"no difference: 4 users with {len(LOG)} events at " in capsys.readouterr().out


def test_an_event_that_the_store_lost_is_found(stored: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [*LOG, like("ada", 9)])
    with pytest.raises(HistoriesDiffer, match="1 differences: 4 users") as failure:
        parity(log, stored, "--moments", "0")
    (found,) = failure.value.result["differences"]
    assert (found["user_id"], found["source"]) == ("ada", "online store")
    assert found["streamed"]["item_ids"] == ("i2", "i5", "i9")
    assert found["found"]["item_ids"] == ("i2", "i5")
    assert json.dumps(failure.value.result, allow_nan=False)
    assert failure.value.exit_code == 1
    assert re.search(r"user [0-9a-f]{12} at \d+: the stream has 3 items", str(failure.value))
    assert "ada" not in str(failure.value)


def test_a_user_whom_only_the_log_knows_is_found(stored: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [*LOG, like("eve", 1)])
    with pytest.raises(HistoriesDiffer, match="the online store none"):
        parity(log, stored, "--moments", "0")


def test_a_row_of_the_table_that_is_stale_is_found(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a point-in-time join that answers with bob's row from before his erasure."""

    def without_erasure(rows: Any, written_ms: int) -> Any:
        kept = [row for row in rows if (row.user_id, row.version) != ("bob", NOW_MS + 2)]
        return rows_over_time(kept, written_ms)

    monkeypatch.setattr("pigeon_recsys_connectors.feast_history.rows_over_time", without_erasure)
    with pytest.raises(HistoriesDiffer) as failure:
        parity(write_log(tmp_path / "log", LOG), stored, "--moments", "9")
    found = failure.value.result["differences"]
    assert {(each["user_id"], each["source"]) for each in found} == {("bob", "point-in-time join")}
    assert [each["at_ms"] for each in found] == [NOW_MS + 2]
    assert found[0]["streamed"]["item_ids"] == ()
    assert len(found[0]["found"]["item_ids"]) == 2


def test_a_share_of_the_users_can_be_compared(stored: Path, tmp_path: Path) -> None:
    result = parity(write_log(tmp_path / "log", LOG), stored, "--share", "0.5", "--moments", "0")
    assert 0 < result["users"] < 4


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (["--share", "0"], "--share must be above 0 and at most 1, got 0.0"),
        (["--moments", "-1"], "--moments must not be below 0, got -1"),
    ],
)
def test_what_cannot_be_compared_is_said(
    stored: Path, tmp_path: Path, more: list[str], fault: str
) -> None:
    with pytest.raises(SettingsError, match=fault):
        parity(write_log(tmp_path / "log", LOG), stored, *more)


def test_a_missing_log_or_store_is_named(stored: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read .*nowhere.*Check --log"):
        parity(tmp_path / "nowhere", stored)
    with pytest.raises(PigeonError, match="is no history store"):
        parity(write_log(tmp_path / "log", LOG), tmp_path / "store")
