"""Read the interaction table of a dataset folder.

In:  the bytes of `interactions.parquet`, the column names, and the catalog's item ids.
Out: one `Interaction` per usable row, with named events or ratings turned into like, skip or
     neutral; every fault is noted.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import types

from pigeon_recsys.datasets.columns import NUMBER, TEXT, TIME, Column, read_columns
from pigeon_recsys.datasets.faults import FaultList, show
from pigeon_recsys.datasets.schema import EventColumns, RatingColumns
from pigeon_recsys.datasets.times import BadTime, read_time, show_time
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP, Interaction


def read_interactions(
    content: bytes,
    columns: EventColumns | RatingColumns,
    item_ids: Collection[str] | None,
    faults: FaultList,
) -> list[Interaction]:
    """Return the interactions in the order of the table; a faulty row is left out.

    Without `item_ids` (the catalog could not be read) items are not looked up.
    """
    signal, kind = (
        (columns.rating, NUMBER) if isinstance(columns, RatingColumns) else (columns.event, TEXT)
    )
    wanted = {columns.user: TEXT, columns.item: TEXT, columns.time: TIME, signal: kind}
    table = read_columns(content, columns.file, wanted, faults)
    if table is None:
        return []
    num_rows = len(table[signal].values)
    if num_rows == 0:
        faults.add("empty table", columns.file, "holds no rows. Add the interactions.")
    event_of = (
        _ratings(columns, table[signal].dtype)
        if isinstance(columns, RatingColumns)
        else _named_events(columns)
    )
    reader = _RowReader(columns, table, signal, event_of, item_ids, faults)
    rows = (reader.read(row) for row in range(num_rows))
    return [row for row in rows if row is not None]


class _BadSignal(ValueError):
    """An event or a rating cannot be used; the message completes "rating X …"."""


@dataclass(frozen=True, slots=True)
class _RowReader:
    """Reads single rows, and notes every fault of a row rather than only its first."""

    columns: EventColumns | RatingColumns
    table: dict[str, Column]
    signal: str
    event_of: Callable[[Any], str]
    item_ids: Collection[str] | None
    faults: FaultList

    def read(self, row: int) -> Interaction | None:
        user_id, item_id = self._user_id(row), self._item_id(row)
        at_ms, event = self._at_ms(row), self._event(row)
        if user_id is None or item_id is None or at_ms is None or event is None:
            return None
        return Interaction(user_id, item_id, event, at_ms)

    def _id(self, name: str, row: int) -> str | None:
        value: str | None = self.table[name].values[row]
        if (value or "").strip():
            return value
        text = f"{name} is {'null' if value is None else 'empty'}. Fill it, or drop the row."
        self.faults.add(f"null {name}", self.columns.file, text, row=row)
        return None

    def _user_id(self, row: int) -> str | None:
        return self._id(self.columns.user, row)

    def _item_id(self, row: int) -> str | None:
        item_id = self._id(self.columns.item, row)
        if item_id is None or self.item_ids is None or item_id in self.item_ids:
            return item_id
        text = (
            f"{self.columns.item} {show(item_id)} is not in the items table. "
            "Add the item, or drop the row."
        )
        self.faults.add("unknown item", self.columns.file, text, row=row, value=show(item_id))
        return None

    def _at_ms(self, row: int) -> int | None:
        column = self.table[self.columns.time]
        value = column.values[row]
        try:
            return read_time(value, column.dtype)
        except BadTime as exc:
            shown = None if value is None else show_time(value, column.dtype)
            text = " ".join(filter(None, (column.name, shown, str(exc))))
            self.faults.add("bad time", self.columns.file, text, row=row, value=shown)
            return None

    def _event(self, row: int) -> str | None:
        value = self.table[self.signal].values[row]
        try:
            return self.event_of(value)
        except _BadSignal as exc:
            shown = None if value is None else show(value)
            text = " ".join(filter(None, (self.signal, shown, str(exc))))
            kind = f"bad {'rating' if isinstance(self.columns, RatingColumns) else 'event'}"
            self.faults.add(kind, self.columns.file, text, row=row, value=shown)
            return None


def _named_events(columns: EventColumns) -> Callable[[str | None], str]:
    """Return the meaning of an event's name."""
    meaning = (
        dict.fromkeys(columns.positive, LIKE)
        | dict.fromkeys(columns.negative, SKIP)
        | dict.fromkeys(columns.neutral, NEUTRAL)
    )

    def event_of(name: str | None) -> str:
        if name is None:
            raise _BadSignal("is null. Fill it, or drop the row.")
        if name not in meaning:
            raise _BadSignal(
                f"is not an event of dataset.yaml, which knows {', '.join(meaning)}. "
                "List it under positive, negative or neutral."
            )
        return meaning[name]

    return event_of


def _ratings(columns: RatingColumns, dtype: pa.DataType) -> Callable[[float | None], str]:
    """Return the meaning of a rating.

    Thresholds are rounded as the column is: a float32 3.9 is a little above 3.9.
    """

    def threshold(value: float) -> float:
        return float(pa.scalar(value, dtype).as_py()) if types.is_floating(dtype) else value

    at_least = threshold(columns.positive.at_least)
    at_most = threshold(columns.negative.at_most) if columns.negative else -math.inf

    def event_of(rating: float | None) -> str:
        if rating is None:
            raise _BadSignal("is null. Fill it, or drop the row.")
        if not math.isfinite(rating):
            raise _BadSignal("is not a finite number. Correct it, or drop the row.")
        if rating >= at_least:
            return LIKE
        return SKIP if rating <= at_most else NEUTRAL

    return event_of
