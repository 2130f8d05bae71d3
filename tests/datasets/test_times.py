"""Times of events: every unit, every kind of text, and the bounds."""

import pyarrow as pa
import pytest

from pigeon_recsys.datasets.times import BadTime, read_time, show_time

TEXT = pa.string()
NEW_YEAR_2025_S = 1_735_689_600


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_a_timestamp_becomes_milliseconds(unit: str, factor: int, zone: str | None) -> None:
    """Parquet stores the instant in UTC; the zone is only how it was written."""
    dtype = pa.timestamp(unit, tz=zone)
    assert read_time(NEW_YEAR_2025_S * factor, dtype) == NEW_YEAR_2025_S * 1000


@pytest.mark.parametrize(
    ("text", "after_ms"),
    [
        ("2025-01-01", 0),
        ("2025-01-01T00:00:01Z", 1000),
        (" 2025-01-01 00:00:00.250 ", 250),
        ("2025-01-01T09:00:00+09:00", 0),
    ],
)
def test_iso_text_becomes_milliseconds_without_an_offset_in_utc(text: str, after_ms: int) -> None:
    assert read_time(text, TEXT) == NEW_YEAR_2025_S * 1000 + after_ms


@pytest.mark.parametrize("text", ["1990-01-01T00:00:00Z", "2099-12-31T23:59:59.999Z"])
def test_the_bounds_are_inside(text: str) -> None:
    read_time(text, TEXT)


@pytest.mark.parametrize(
    ("value", "dtype", "fault"),
    [
        (None, TEXT, "is null. Give the time, or drop the row."),
        ("", TEXT, "is no ISO 8601 time. Write it like 2025-01-31T12:00:00Z."),
        ("1735689600", TEXT, "is no ISO 8601 time. Write it like 2025-01-31T12:00:00Z."),
        ("1989-12-31T23:59:59Z", TEXT, "is before 1990. Check its unit, or drop the row."),
        (2**62, pa.timestamp("s"), "is after 2099. Check its unit, or drop the row."),
        (-(2**62), pa.timestamp("ns"), "is before 1990. Check its unit, or drop the row."),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(
    value: int | str | None, dtype: pa.DataType, fault: str
) -> None:
    with pytest.raises(BadTime) as caught:
        read_time(value, dtype)
    assert str(caught.value) == fault


def test_a_time_no_calendar_holds_is_shown_as_a_number() -> None:
    assert show_time(2**62, pa.timestamp("s")) == "4611686018427387904 s after 1970"
    assert show_time(0, pa.timestamp("s")) == "1970-01-01T00:00:00+00:00"
    assert show_time("soon", TEXT) == "'soon'"
