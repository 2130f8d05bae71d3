"""Histories as rows of the Feast view `user_history`, and back.

In:  histories and the states they follow from, or a row that Feast answers with.
Out: an Arrow table with the columns of `feature_repo/definitions.py`, or a history, or a state.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from pigeon_recsys.errors import HistoryStoreError
from pigeon_recsys.history.from_interactions import event_of
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import History, Interaction

LAST_YEAR = 2261  # the last whole year of pandas' nanosecond times, which Feast uses inside
LAST_TIME_MS = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp()) * 1000 - 1
NO_STATE = b""  # of a history that was published whole

ROW_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "item_ids": pa.list_(pa.string()),
        "times_ms": pa.list_(pa.int64()),
        "events": pa.list_(pa.string()),
        "version": pa.int64(),
        "written_ms": pa.int64(),
        "state": pa.binary(),
        "event_timestamp": pa.timestamp("ms", tz="UTC"),
        "created_timestamp": pa.timestamp("us", tz="UTC"),
    }
)
USER_ID = "user_id"
NO_FEATURES = (USER_ID, "event_timestamp", "created_timestamp")  # columns Feast keeps apart
FEATURES = tuple(name for name in ROW_SCHEMA.names if name not in NO_FEATURES)


def to_rows(
    histories: Iterable[History], written_ms: int, states: Mapping[str, HistoryState] | None = None
) -> pa.Table:
    """Return one row a history, ordered by user and version, with the user's state if given.

    `event_timestamp` is the newest interaction so far, and never goes back as versions rise.
    `created_timestamp` is the time of writing, a microsecond later for each row: Feast takes
    the later one of two rows with the same event timestamp, and the higher version must win.
    """
    ordered = in_order(histories)
    stored = {user_id: state.to_bytes() for user_id, state in (states or {}).items()}
    written_us = written_ms * 1000
    columns = {
        "user_id": [history.user_id for history in ordered],
        "item_ids": [history.item_ids for history in ordered],
        "times_ms": [history.times_ms for history in ordered],
        "events": [history.events for history in ordered],
        "version": [history.version for history in ordered],
        "written_ms": [written_ms] * len(ordered),
        "state": [stored.get(history.user_id, NO_STATE) for history in ordered],
        "event_timestamp": event_times_ms(ordered),
        "created_timestamp": range(written_us, written_us + len(ordered)),
    }
    return pa.table(columns, schema=ROW_SCHEMA)


def rows_over_time(histories: Iterable[History], written_ms: int) -> pa.Table:
    """Return rows that hold from their version on, which is a time: histories as of moments."""
    rows = to_rows(histories, written_ms)
    times = rows["version"].cast(pa.timestamp("ms", tz="UTC"))
    return rows.set_column(rows.schema.get_field_index("event_timestamp"), "event_timestamp", times)


def in_order(histories: Iterable[History]) -> list[History]:
    """Return the histories by user and version, the order in which they become rows."""
    return sorted(histories, key=lambda history: (history.user_id, history.version))


def event_times_ms(ordered: Sequence[History]) -> list[int]:
    """Return the time of each row: of the newest interaction of the user's rows up to it."""
    newest: dict[str, int] = {}
    times = []
    for history in ordered:
        own = max(history.times_ms, default=0)
        if own > LAST_TIME_MS:
            raise HistoryStoreError(
                f"the history of user {history.user_id!r} has the time {own}, which is past the "
                f"year {LAST_YEAR} in epoch milliseconds. Give milliseconds, not smaller units."
            )
        newest[history.user_id] = max(own, newest.get(history.user_id, own))
        times.append(newest[history.user_id])
    return times


def from_row(user_id: str, row: Mapping[str, Any]) -> History | None:
    """Return the history in one answered row, or None where Feast found none.

    Some online stores answer None for an empty list. The offline store answers float numbers
    where another row of the same answer is missing: exact below 2**53.
    """
    if row["version"] is None:
        return None
    written_ms = row["written_ms"]
    return History(
        user_id=user_id,
        item_ids=tuple(row["item_ids"] or ()),
        times_ms=tuple(row["times_ms"] or ()),
        events=tuple(row["events"] or ()),
        version=int(row["version"]),
        written_ms=None if written_ms is None else int(written_ms),
    )


def state_from_row(row: Mapping[str, Any]) -> HistoryState | None:
    """Return the state in one answered row, or None where there is none."""
    return HistoryState.from_bytes(row["state"]) if row["state"] else None


def state_of_published(history: History, capacity: int) -> HistoryState:
    """Return the state in which a history that was published whole meets its first events.

    Its interactions become the events of `event_of`: sent again with those ids, they are the same.
    """
    return HistoryState.empty(history.user_id, capacity).merged(
        event_of(Interaction(history.user_id, item_id, event, at_ms))
        for item_id, at_ms, event in zip(
            history.item_ids, history.times_ms, history.events, strict=True
        )
    )
