"""The decision log as parquet: its tables, and reading a folder of them.

In:  entries of one kind; or a folder with `decisions`, `exposures` and `outcomes`, each holding
     `date=YYYY-MM-DD/part-*.parquet`.
Out: an Arrow table of them; or the entries, day by day, each once, also where a batch was written
     twice. The columns are the fields of the records; columns that are not known are ignored, and
     those that earlier versions did not write may be missing.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from pigeon_recsys.decisions import Decision, Exposure, Offered, Outcome, SlateEntry, fields_of
from pigeon_recsys.errors import DatasetError, EventError
from pigeon_recsys.records import Placement

NAMES: Mapping[type[SlateEntry], str] = {
    Decision: "decisions",
    Exposure: "exposures",
    Outcome: "outcomes",
}
DATE = "date="
SHOWN_FAULTS = 20  # of one file

TEXT, NUMBER, TIME, COUNT = pa.string(), pa.float64(), pa.int64(), pa.int32()
NUMBERS, TEXTS = pa.map_(TEXT, NUMBER), pa.map_(TEXT, TEXT)
# after the first version, so that files may lack them
ADDED = frozenset({"candidate_raw_scores", "creative_id"})
MAPS = ("context", "versions", "latency_ms")
ABOUT_ITEM = [("user_id", TEXT), ("at_ms", TIME), ("request_id", TEXT), ("item_id", TEXT)]
OFFERED = pa.struct(
    [
        *((name, TEXT) for name in ("item_id", "kind", "source")),
        *((name, NUMBER) for name in ("score", "probability")),
        *((name, TEXT) for name in ("code", "line")),
        ("propensity", NUMBER),
    ]
)
PLACEMENT = pa.struct(
    [
        ("position", COUNT),
        ("item_id", TEXT),
        ("score", NUMBER),
        ("is_generated", pa.bool_()),
        ("probability", NUMBER),
        ("creative_id", TEXT),
    ]
)
SCHEMAS: Mapping[type[SlateEntry], pa.Schema] = {
    Decision: pa.schema(
        [
            *((name, TEXT) for name in ("request_id", "user_id", "surface")),
            ("at_ms", TIME),
            ("action", TEXT),
            *((name, NUMBER) for name in ("propensity", "slot_propensity")),
            *((name, TEXT) for name in ("rung", "reason")),
            ("placements", pa.list_(PLACEMENT)),
            ("num_candidates", COUNT),
            ("candidate_ids", pa.list_(TEXT)),
            *((f"candidate_{name}", pa.list_(NUMBER)) for name in ("scores", "probabilities")),
            ("offered", pa.list_(OFFERED)),
            *((name, TEXT) for name in ("experiment", "bucket")),
            ("context", NUMBERS),
            ("versions", TEXTS),
            ("history_hash", TEXT),
            ("latency_ms", NUMBERS),
            *((name, NUMBER) for name in ("total_ms", "deadline_ms")),
            ("candidate_raw_scores", pa.list_(NUMBER)),
        ]
    ),
    Exposure: pa.schema([*ABOUT_ITEM, ("position", COUNT), ("creative_id", TEXT)]),
    Outcome: pa.schema([*ABOUT_ITEM, ("kind", TEXT), ("event", TEXT)]),
}

Kind = TypeVar("Kind", Decision, Exposure, Outcome)


def day_of(entry: SlateEntry) -> str:
    """Return the day, UTC, that an entry is filed under. Raises `EventError` for none."""
    try:
        return datetime.fromtimestamp(entry.at_ms / 1000, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError) as exc:
        raise EventError(
            "wrong-schema", f"at_ms is {entry.at_ms}. Send epoch milliseconds."
        ) from exc


def to_table(entries: Sequence[SlateEntry]) -> pa.Table:
    """Return entries of one kind as a table. Raises `EventError` for one that no column takes."""
    kind = type(entries[0])
    try:
        return pa.Table.from_pylist([fields_of(entry) for entry in entries], SCHEMAS[kind])
    except (pa.ArrowException, ValueError, OverflowError) as exc:
        fault = f"the table of {NAMES[kind]} takes no such value ({type(exc).__name__}). Send "
        raise EventError("wrong-schema", f"{fault}text in Unicode, and numbers.") from exc


def read_decisions(
    folder: Path, first: date | None = None, last: date | None = None
) -> Iterator[Decision]:
    """Yield the decisions of some days, in UTC, or of all; each request once.

    Raises `DatasetError` naming the file and the rows that are no decisions.
    """
    yield from _entries(folder, Decision, _decision, lambda each: each.request_id, (first, last))


def read_exposures(
    folder: Path, first: date | None = None, last: date | None = None
) -> Iterator[Exposure]:
    """Yield what was shown on some days, or on all; each item of a slate once."""
    yield from _entries(
        folder, Exposure, _exposure, lambda each: (each.request_id, each.item_id), (first, last)
    )


def read_outcomes(
    folder: Path, first: date | None = None, last: date | None = None
) -> Iterator[Outcome]:
    """Yield what was done with what was shown; each kind of outcome of a slate's item once."""
    yield from _entries(folder, Outcome, _outcome, lambda each: each.event_id, (first, last))


def _entries(
    folder: Path,
    kind: type[Kind],
    build: Callable[[dict[str, Any]], Kind],
    key: Callable[[Kind], Hashable],
    days: tuple[date | None, date | None],
) -> Iterator[Kind]:
    met: set[Hashable] = set()
    for path in _files(folder / NAMES[kind], days):
        for entry in _read_file(path, kind, build):
            if (name := key(entry)) not in met:
                met.add(name)
                yield entry


def _files(folder: Path, days: tuple[date | None, date | None]) -> list[Path]:
    first, last = days
    low = date.min if first is None else first
    high = date.max if last is None else last
    return [
        path
        for day in sorted(folder.glob(f"{DATE}*"))
        if low.isoformat() <= day.name.removeprefix(DATE) <= high.isoformat()
        for path in sorted(day.glob("part-*.parquet"))
    ]


def _read_file(
    path: Path, kind: type[Kind], build: Callable[[dict[str, Any]], Kind]
) -> Iterator[Kind]:
    schema = SCHEMAS[kind]
    try:
        with pq.ParquetFile(path) as file:
            held = file.schema_arrow
            if faults := _wrong_columns(schema, held):
                raise DatasetError(path, faults)
            rows = _rows(file, schema)
    except (pa.ArrowException, OSError) as exc:
        fault = f"cannot be read: {' '.join(str(exc).split())} Remove it, or write it again."
        raise DatasetError(path, [fault]) from exc
    faults, entries = [], []
    for number, row in enumerate(rows):
        try:
            entries.append(build(row))
        except (ValueError, TypeError) as exc:
            faults.append(f"row index {number}: {exc}")
    if faults:
        raise DatasetError(path, faults, listing=faults[:SHOWN_FAULTS])
    yield from entries


def _rows(file: pq.ParquetFile, schema: pa.Schema) -> list[dict[str, Any]]:
    """Return the rows with the fields of a schema; a field that is missing is left out."""
    held = pa.schema([field for field in schema if field.name in file.schema_arrow.names])
    rows: list[dict[str, Any]] = (
        file.read(columns=held.names).select(held.names).cast(held).to_pylist()
    )
    return rows


def _wrong_columns(wanted: pa.Schema, held: pa.Schema) -> list[str]:
    """Return which columns are missing or of another type."""
    return [
        f"has no column {field.name!r} of type {field.type}, as this version writes it"
        for field in wanted
        if (
            not held.field(field.name).type.equals(field.type)
            if field.name in held.names
            else field.name not in ADDED
        )
    ]


def _decision(row: dict[str, Any]) -> Decision:
    _require(row, Decision, optional=("action", "deadline_ms"))
    maps = {name: dict(row[name]) for name in MAPS}
    columns = {name: tuple(value) for name, value in row.items() if name.startswith("candidate_")}
    return Decision(
        **{
            **row,
            **maps,
            **columns,
            "placements": tuple(Placement(**each) for each in row["placements"]),
            "offered": tuple(Offered(**each) for each in row["offered"]),
        }
    )


def _exposure(row: dict[str, Any]) -> Exposure:
    _require(row, Exposure, optional=("creative_id",))
    return Exposure(**row)


def _outcome(row: dict[str, Any]) -> Outcome:
    _require(row, Outcome, optional=("event",))
    return Outcome(**row)


def _require(row: dict[str, Any], kind: type[Kind], optional: Sequence[str] = ()) -> None:
    """Raise `ValueError` for an empty cell where there must be a value."""
    empty = [
        each.name
        for each in fields(kind)
        if each.name not in optional and each.name in row and row[each.name] is None
    ]
    if empty:
        raise ValueError(f"{', '.join(empty)} must not be empty")
