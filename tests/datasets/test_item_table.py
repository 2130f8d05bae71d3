"""Attribute values of every column type, as text."""

from typing import Any

import pyarrow as pa
import pytest

from pigeon_recsys.datasets.faults import FaultList
from pigeon_recsys.datasets.item_table import attribute, read_items
from pigeon_recsys.datasets.schema import ItemColumns


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("happy", "happy"),
        (" happy ", "happy"),
        ("  ", None),
        (None, None),
        (1995, "1995"),
        (1995.0, "1995"),
        (0.5, "0.5"),
        (float("nan"), None),
        (float("inf"), "inf"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        ([], None),
        ([None, "a", 2.0], ("a", "2")),
        ([None], None),
    ],
)
def test_an_attribute_is_text_or_texts_or_nothing(value: Any, text: Any) -> None:
    assert attribute(value) == text


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["a", "b"], pa.large_string()),
        pa.array(["a", "b"], pa.string_view()),
        pa.array(["a", "b"]).dictionary_encode(),
    ],
)
def test_every_type_of_text_column_reads_the_same(ids: pa.Array) -> None:
    """Polars writes large strings, pandas categories become dictionaries."""
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ids, "image": ["x.png", "y.png"], "year": [1990, None]}), buffer)
    columns = ItemColumns(
        file="items.parquet",
        id="id",
        title="id",
        image="image",
        attributes=["year"],
        instruction=["id", "year"],
    )
    faults = FaultList()
    catalog = read_items(buffer.getvalue().to_pybytes(), columns, faults)
    assert catalog is not None
    assert len(faults) == 0
    assert [row.item.item_id for row in catalog.rows] == ["a", "b"]
    assert [row.item.instruction for row in catalog.rows] == ["a, 1990", "b"]
    assert [row.item.attributes for row in catalog.rows] == [{"year": "1990"}, {}]
