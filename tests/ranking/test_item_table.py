"""The table of encoded items: rows stay, items that changed are new, columns grow."""

from dataclasses import replace

import numpy as np

from pigeon_recsys.ranking.item_table import FIRST_CAPACITY, EncodedItem, ItemTable
from pigeon_recsys.records import RankItem


def encoded(number: int) -> EncodedItem:
    """Return an item whose columns all tell its number; its second bag has that many ids, mod 4."""
    item = RankItem(f"item-{number}", np.full(3, number, np.float32))
    bags = ((number,), (number,) * (number % 4))
    return EncodedItem(item, bags, np.full(2, -number, np.float32))


def test_rows_come_back_in_any_order_after_the_columns_grew() -> None:
    count = FIRST_CAPACITY + 10
    table = ItemTable(2, max_items=2 * count)
    assert [table.add(encoded(number)) for number in range(count)] == list(range(count))
    rows = np.array([count - 1, 3, 0, 3])
    assert table.pictures(rows)[:, 0].tolist() == rows.tolist()
    assert table.texts(rows)[:, 0].tolist() == (-rows).tolist()
    assert table.bags(0, rows).values.tolist() == rows.tolist()
    ragged = table.bags(1, rows)
    assert ragged.lengths.tolist() == (rows % 4).tolist()
    assert ragged.values.tolist() == np.repeat(rows, rows % 4).tolist()
    assert table.pictures(rows).dtype == np.float32


def test_bags_without_any_value_are_whole_numbers() -> None:
    table = ItemTable(2, max_items=4)
    table.add(encoded(0))
    assert table.bags(1, np.array([0])).values.dtype == np.int64


def test_an_item_is_found_as_long_as_it_stays_the_same() -> None:
    table = ItemTable(2, max_items=4)
    known = encoded(1)
    row = table.add(known)
    assert table.find(known.source) == row
    assert table.find(replace(known.source, embedding=known.source.embedding.copy())) == row
    assert table.find(replace(known.source, text="a new title")) is None
    assert table.find(replace(known.source, embedding=np.zeros(3, np.float32))) is None
    assert table.find(replace(known.source, attributes={"style": "ink"})) is None
    assert table.find(encoded(2).source) is None


def test_a_table_says_when_it_is_full() -> None:
    table = ItemTable(2, max_items=1)
    assert not table.is_full
    table.add(encoded(0))
    assert table.is_full
