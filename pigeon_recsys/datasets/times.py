"""Read the time of an event, and refuse one that cannot be meant.

In:  a timestamp column as whole numbers in its unit, or ISO 8601 text.
Out: epoch milliseconds in UTC. A time without an offset counts as UTC.
"""

from datetime import UTC, datetime

import pyarrow as pa
from pyarrow import types

UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

# Outside these years a time is in a wrong unit, or a default. Fixed, not "now": a folder that
# reads today reads tomorrow.
FIRST_YEAR = 1990
END_YEAR = 2100
FIRST_MS = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1000
END_MS = int(datetime(END_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1000


class BadTime(ValueError):
    """A value is no usable time; the message completes "timestamp X …"."""


def read_time(value: int | str | None, dtype: pa.DataType) -> int:
    """Return epoch milliseconds, or raise `BadTime`."""
    if value is None:
        raise BadTime("is null. Give the time, or drop the row.")
    if isinstance(value, str):
        at_ms = _from_text(value)
    else:
        at_ms = value * 1000 // UNITS_PER_SECOND[dtype.unit]
    if at_ms < FIRST_MS:
        raise BadTime(f"is before {FIRST_YEAR}. Check its unit, or drop the row.")
    if at_ms >= END_MS:
        raise BadTime(f"is after {END_YEAR - 1}. Check its unit, or drop the row.")
    return at_ms


def show_time(value: int | str | None, dtype: pa.DataType) -> str:
    """Return a value of a time column as a message names it."""
    if isinstance(value, int) and types.is_timestamp(dtype):
        try:
            return datetime.fromtimestamp(value / UNITS_PER_SECOND[dtype.unit], UTC).isoformat()
        except (OverflowError, ValueError, OSError):
            return f"{value} {dtype.unit} after 1970"
    return repr(value)


def _from_text(text: str) -> int:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise BadTime("is no ISO 8601 time. Write it like 2025-01-31T12:00:00Z.") from exc
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
