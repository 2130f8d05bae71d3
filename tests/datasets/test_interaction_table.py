"""Named events and ratings, as likes, skips and neutral."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pigeon_recsys.datasets.faults import FaultList
from pigeon_recsys.datasets.interaction_table import read_interactions
from pigeon_recsys.datasets.schema import EventColumns, RatingColumns
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP

SHARED = {"file": "i.parquet", "user": "user", "item": "item", "time": "time"}


def events_of(columns: EventColumns | RatingColumns, signal: Any) -> list[str]:
    """What the rows of one table mean."""
    num_rows = len(signal)
    table = {
        "user": ["u"] * num_rows,
        "item": ["a"] * num_rows,
        "time": ["2025-01-01"] * num_rows,
        "signal": signal,
    }
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(table), buffer)
    faults = FaultList()
    rows = read_interactions(buffer.getvalue().to_pybytes(), columns, {"a"}, faults)
    assert [str(fault) for fault in faults] == []
    return [row.event for row in rows]


@pytest.mark.parametrize(
    "dtype", [pa.float16(), pa.float32(), pa.float64(), pa.int8(), pa.int64(), pa.uint8()]
)
def test_thresholds_belong_to_likes_and_skips(dtype: pa.DataType) -> None:
    thresholds = {"positive": {"at_least": 4}, "negative": {"at_most": 2}}
    columns = RatingColumns.model_validate(SHARED | {"rating": "signal"} | thresholds)
    ratings = pa.array([1, 2, 3, 4, 5]).cast(dtype)
    assert events_of(columns, ratings) == [SKIP, SKIP, NEUTRAL, LIKE, LIKE]


@pytest.mark.parametrize("dtype", [pa.float32(), pa.float64()])
def test_a_threshold_is_met_in_the_precision_of_the_column(dtype: pa.DataType) -> None:
    """As float32, 3.9 is 3.9000001 and 2.3 is 2.3 less 5e-8."""
    thresholds = {"positive": {"at_least": 3.9}, "negative": {"at_most": 2.3}}
    columns = RatingColumns.model_validate(SHARED | {"rating": "signal"} | thresholds)
    assert events_of(columns, pa.array([2.3, 3.9], dtype)) == [SKIP, LIKE]


def test_without_a_lower_threshold_nothing_is_a_skip() -> None:
    thresholds = {"positive": {"at_least": 4}}
    columns = RatingColumns.model_validate(SHARED | {"rating": "signal"} | thresholds)
    assert events_of(columns, [0.5, 4.0]) == [NEUTRAL, LIKE]


def test_several_names_can_mean_the_same() -> None:
    names = {"positive": ["like", "buy"], "negative": ["hide"], "neutral": ["view"]}
    columns = EventColumns.model_validate(SHARED | {"event": "signal"} | names)
    assert events_of(columns, ["buy", "view", "hide", "like"]) == [LIKE, NEUTRAL, SKIP, LIKE]
