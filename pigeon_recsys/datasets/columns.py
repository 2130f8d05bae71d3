"""Read a parquet table and check that its columns can be used.

In:  the bytes of a parquet file and which columns are wanted as what.
Out: Python lists, one a column, or a fault per missing or mistyped column.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from pigeon_recsys.datasets.faults import FaultList, show

PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """What a column may hold, and how to say so."""

    accepts: Callable[[pa.DataType], bool]
    wanted: str  # completes "must hold"
    fix: str


def _is_text(dtype: pa.DataType) -> bool:
    plain = dtype.value_type if types.is_dictionary(dtype) else dtype
    return bool(
        types.is_string(plain) or types.is_large_string(plain) or types.is_string_view(plain)
    )


def _is_number(dtype: pa.DataType) -> bool:
    return bool(types.is_integer(dtype) or types.is_floating(dtype))


def _is_list(dtype: pa.DataType) -> bool:
    return bool(
        types.is_list(dtype) or types.is_large_list(dtype) or types.is_fixed_size_list(dtype)
    )


def _is_attribute(dtype: pa.DataType) -> bool:
    value = dtype.value_type if _is_list(dtype) else dtype
    return _is_text(value) or _is_number(value) or types.is_boolean(value) or types.is_null(value)


TEXT = ColumnKind(_is_text, "text", "Convert it to strings.")
NUMBER = ColumnKind(_is_number, "numbers", "Convert it to floats.")
TIME = ColumnKind(
    lambda dtype: types.is_timestamp(dtype) or _is_text(dtype),
    "timestamps, or ISO 8601 text",
    "Convert it to timestamps in UTC.",
)
ATTRIBUTE = ColumnKind(
    _is_attribute,
    "text, numbers, booleans, or lists of them",
    "Convert it, or take the column out of dataset.yaml.",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column's values; null is None."""

    name: str
    dtype: pa.DataType
    values: list[Any]


def read_columns(
    content: bytes, file: str, wanted: Mapping[str, ColumnKind], faults: FaultList
) -> dict[str, Column] | None:
    """Return the wanted columns by name, or None after noting every fault of the table.

    Timestamps come as whole numbers in the column's unit, so that no value is out of range.
    """
    if not content.startswith(PARQUET_MAGIC):
        faults.add("not parquet", file, "is no parquet file. Write it with pandas or pyarrow.")
        return None
    try:
        parquet = pq.ParquetFile(pa.BufferReader(content))
        num_before = len(faults)
        for name, kind in wanted.items():
            _check_column(parquet.schema_arrow, file, name, kind, faults)
        if len(faults) > num_before:
            return None
        table = parquet.read(columns=list(wanted))
        table.validate(full=True)
    except (pa.ArrowException, OSError) as exc:
        reason = " ".join(str(exc).split())
        faults.add("not parquet", file, f"is damaged parquet: {reason} Write it again.")
        return None
    return {name: _column(table, name) for name in wanted}


def _check_column(
    schema: pa.Schema, file: str, name: str, kind: ColumnKind, faults: FaultList
) -> None:
    """Note a column that is missing, doubled or of a type that cannot be used."""
    count = schema.names.count(name)
    if count == 0:
        text = (
            f"has no column {name!r}; it has {', '.join(schema.names) or 'none'}. "
            "Add it, or correct dataset.yaml."
        )
        faults.add("missing column", file, text, value=show(name))
    elif count > 1:
        text = f"has {count} columns named {name!r}. Keep one."
        faults.add("doubled column", file, text, value=show(name))
    elif not kind.accepts(dtype := schema.field(name).type):
        text = f"column {name!r} must hold {kind.wanted}, its type is {dtype}. {kind.fix}"
        faults.add("wrong column type", file, text, value=str(dtype))


def _column(table: pa.Table, name: str) -> Column:
    column = table.column(name)
    plain = column.cast(pa.int64()) if types.is_timestamp(column.type) else column
    return Column(name, column.type, plain.to_pylist())
