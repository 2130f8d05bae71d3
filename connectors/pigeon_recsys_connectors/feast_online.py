"""Rows of the view `user_history` in the online store, without a data frame on the way.

In:  Feast's handle on a repository, user ids, histories and the states they follow from.
Out: one row a user, as it is stored; rows written.

A writer reads and writes a thousand rows a second, and Feast's `push` and `get_online_features`
would cost it more than the store does: they take tables apart, and parse the registry each time.
The online store's own interface, which every store of Feast has, takes the values as they are.
What is written is what a push of `feast_rows.to_rows` would write.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from feast import FeatureStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Int64List, StringList, Value

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
ABSENT: Row = dict.fromkeys(FEATURES)


class OnlineRows:
    """The rows of one feature view; one thread uses it."""

    def __init__(self, store: FeatureStore, view: str) -> None:
        self._config = store.config
        self._provider = store.provider
        self._view = store.get_feature_view(view)

    def read(self, user_ids: Sequence[str], features: Sequence[str] = FEATURES) -> list[Row]:
        """Return one row a user, in order, of these features; all of them None without one."""
        keys = [_key(user_id) for user_id in user_ids]
        found = self._provider.online_read(self._config, self._view, keys, list(features))
        return [_row(values, features) if values else ABSENT for _, values in found]

    def write(
        self, histories: Iterable[History], written_ms: int, states: Mapping[str, HistoryState]
    ) -> None:
        """Write one row a history, with the user's state if given."""
        rows = online_rows(histories, written_ms, states)
        self._provider.online_write_batch(self._config, self._view, rows, progress=None)


def online_rows(
    histories: Iterable[History], written_ms: int, states: Mapping[str, HistoryState]
) -> list[Written]:
    """Return one row a history, ordered by user and version."""
    ordered = in_order(histories)
    created = EPOCH + timedelta(milliseconds=written_ms)
    return [
        (
            _key(history.user_id),
            _values(history, written_ms, states.get(history.user_id)),
            EPOCH + timedelta(milliseconds=at_ms),
            created,
        )
        for history, at_ms in zip(ordered, event_times_ms(ordered), strict=True)
    ]


def _key(user_id: str) -> EntityKey:
    return EntityKey(join_keys=[USER_ID], entity_values=[Value(string_val=user_id)])


def _values(history: History, written_ms: int, state: HistoryState | None) -> dict[str, Value]:
    return {
        "item_ids": Value(string_list_val=StringList(val=history.item_ids)),
        "times_ms": Value(int64_list_val=Int64List(val=history.times_ms)),
        "events": Value(string_list_val=StringList(val=history.events)),
        "version": Value(int64_val=history.version),
        "written_ms": Value(int64_val=written_ms),
        "state": Value(bytes_val=state.to_bytes() if state else NO_STATE),
    }


def _row(values: Mapping[str, Value], features: Iterable[str]) -> Row:
    return {name: _plain(values[name]) if name in values else None for name in features}


def _plain(value: Value) -> Any:
    """Return a stored value: a list as a tuple, None where nothing is set."""
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    plain = getattr(value, kind)
    return tuple(plain.val) if kind.endswith("_list_val") else plain
