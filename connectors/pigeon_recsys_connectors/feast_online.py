"""Rows of feature views in the online store, without a data frame on the way.

In:  Feast's handle on a repository, keys, rows; histories and the states they follow from.
Out: one row a key, as it is stored; rows written.

A writer reads and writes a thousand rows a second, and a reader waits for each; Feast's `push` and
`get_online_features` would cost them more than the store does: they take tables apart, and parse
the registry each time. The online store's own interface, which every store of Feast has, takes the
values as they are. What is written is what a push would write.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import FloatList, Int64List, StringList, Value

from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import History
from pigeon_recsys_connectors.feast_rows import (
    FEATURES,
    NO_STATE,
    USER_ID,
    event_times_ms,
    in_order,
)

Row = Mapping[str, Any]
Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]  # as Feast has it

EPOCH = datetime.fromtimestamp(0, UTC)
EVENT_TIME, WRITTEN_TIME = "event_timestamp", "created_timestamp"  # columns of a row, epoch ms


class ViewRows:
    """The rows of one feature view, under one join key; one thread uses it."""

    def __init__(self, store: FeatureStore, view: str, key: str) -> None:
        self._config = store.config
        self._provider = store.provider
        self._view = store.get_feature_view(view)
        self._key = key

    def read(self, keys: Sequence[str], features: Sequence[str]) -> list[Row]:
        """Return one row a key, in order, of these features; all of them None without one."""
        entity_keys = [self._entity_key(key) for key in keys]
        found = self._provider.online_read(self._config, self._view, entity_keys, list(features))
        absent: Row = dict.fromkeys(features)
        return [_row(values, features) if values else absent for _, values in found]

    def write_rows(self, rows: Iterable[Row]) -> None:
        """Write rows that have the view's columns; a feature that is None is blanked out."""
        self._write(
            (
                self._entity_key(row[self._key]),
                {name: _value(value) for name, value in row.items() if name not in self._no_value},
                _time(row[EVENT_TIME]),
                _time(row[WRITTEN_TIME]),
            )
            for row in rows
        )

    @property
    def _no_value(self) -> tuple[str, ...]:
        return self._key, EVENT_TIME, WRITTEN_TIME

    def _entity_key(self, key: str) -> EntityKey:
        return EntityKey(join_keys=[self._key], entity_values=[Value(string_val=key)])

    def _write(self, rows: Iterable[Written]) -> None:
        self._provider.online_write_batch(self._config, self._view, list(rows), progress=None)


class OnlineRows(ViewRows):
    """The rows of a view of histories."""

    def __init__(self, store: FeatureStore, view: str) -> None:
        super().__init__(store, view, USER_ID)

    def read(self, keys: Sequence[str], features: Sequence[str] = FEATURES) -> list[Row]:
        """Return one row a user, in order; all of it None without one."""
        return super().read(keys, features)

    def write(
        self, histories: Iterable[History], written_ms: int, states: Mapping[str, HistoryState]
    ) -> None:
        """Write one row a history, ordered by user and version, with the user's state if given."""
        ordered = in_order(histories)
        written = _time(written_ms)
        self._write(
            (
                self._entity_key(history.user_id),
                _values(history, written_ms, states.get(history.user_id)),
                _time(at_ms),
                written,
            )
            for history, at_ms in zip(ordered, event_times_ms(ordered), strict=True)
        )


def _time(at_ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=at_ms)


def _values(history: History, written_ms: int, state: HistoryState | None) -> dict[str, Value]:
    return {
        "item_ids": _value(history.item_ids),
        "times_ms": Value(int64_list_val=Int64List(val=history.times_ms)),
        "events": _value(history.events),
        "version": Value(int64_val=history.version),
        "written_ms": Value(int64_val=written_ms),
        "state": Value(bytes_val=state.to_bytes() if state else NO_STATE),
    }


def _value(plain: object) -> Value:
    """Return a value as Feast stores it; a tuple holds strings, an array float numbers."""
    match plain:
        case None:
            return Value()
        case str():
            return Value(string_val=plain)
        case bytes():
            return Value(bytes_val=plain)
        case int():
            return Value(int64_val=plain)
        case float():
            return Value(double_val=plain)
        case tuple():
            return Value(string_list_val=StringList(val=plain))
        case np.ndarray():
            return Value(float_list_val=FloatList(val=plain))
    raise TypeError(f"no feature has a value of type {type(plain).__name__}")


def _row(values: Mapping[str, Value], features: Iterable[str]) -> Row:
    return {name: _plain(values[name]) if name in values else None for name in features}


def _plain(value: Value) -> Any:
    """Return a stored value: a list as a tuple, None where nothing is set."""
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    plain = getattr(value, kind)
    return tuple(plain.val) if kind.endswith("_list_val") else plain
