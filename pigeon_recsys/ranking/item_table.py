"""Encoded items in columns: what was encoded once is taken as rows of arrays.

In:  an item's id rows, text and picture, once; the numbers of some items, again and again.
Out: the same as columns of a batch.

Threads share a table: rows are only ever added, and a row stays where it is.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.ranking.bags import Bags, Ids
from pigeon_recsys.records import RankItem, Vectors

# I items in the table, B rows of a batch

FIRST_CAPACITY = 1024


@dataclass(frozen=True, slots=True)
class EncodedItem:
    """One item as the ranker reads it."""

    source: RankItem
    bags: tuple[tuple[int, ...], ...]  # ids, by feature
    text: Vectors  # (T,)

    def is_of(self, item: RankItem) -> bool:
        """Say whether the item still is what was encoded."""
        source = self.source
        return item is source or (
            (item.embedding is source.embedding or np.array_equal(item.embedding, source.embedding))
            and item.text == source.text
            and item.text_embedding is source.text_embedding
            and (item.attributes is source.attributes or item.attributes == source.attributes)
        )


class ItemTable:
    """Encoded items by their ids, the newest of each, in at most `max_items` rows."""

    def __init__(self, num_bags: int, max_items: int) -> None:
        self._max_items = max_items
        self._known: dict[str, tuple[EncodedItem, int]] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._pictures = _Column(np.float32)
        self._text = _Column(np.float32)
        self._starts = [_Column(np.int64) for _ in range(num_bags)]  # of bags, in the values
        self._lengths = [_Column(np.int64) for _ in range(num_bags)]
        self._values = [_Column(np.int64) for _ in range(num_bags)]

    @property
    def is_full(self) -> bool:
        """Whether no further item may be added."""
        return self._count >= self._max_items

    def find(self, item: RankItem) -> int | None:
        """Return the row of an item, None where it is not known as it is now."""
        found = self._known.get(item.item_id)
        if found is None or not found[0].is_of(item):
            return None
        return found[1]

    def add(self, encoded: EncodedItem) -> int:
        """Add an item and return its row."""
        with self._lock:
            row = self._count
            self._pictures.add(encoded.source.embedding[None])
            self._text.add(encoded.text[None])
            for number, ids in enumerate(encoded.bags):
                self._starts[number].add(np.array([self._values[number].size]))
                self._lengths[number].add(np.array([len(ids)]))
                self._values[number].add(np.array(ids, np.int64))
            self._count += 1
            self._known[encoded.source.item_id] = encoded, row
        return row

    def pictures(self, rows: Ids) -> Vectors:
        """Return the pictures of some rows (B, D)."""
        pictures_BD: Vectors = self._pictures.values[rows]
        return pictures_BD

    def texts(self, rows: Ids) -> Vectors:
        """Return the texts of some rows (B, T)."""
        texts_BT: Vectors = self._text.values[rows]
        return texts_BT

    def bags(self, number: int, rows: Ids) -> Bags:
        """Return one feature's bags of some rows."""
        lengths_B = self._lengths[number].values[rows]
        ends_B = np.cumsum(lengths_B)
        num_values = int(ends_B[-1]) if len(ends_B) else 0
        shift = np.repeat(self._starts[number].values[rows] - (ends_B - lengths_B), lengths_B)
        return Bags(self._values[number].values[shift + np.arange(num_values)], lengths_B)


class _Column:
    """An array that grows at its end."""

    def __init__(self, kind: type[np.generic]) -> None:
        self.values: NDArray[Any] = np.zeros(0, kind)
        self.size = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Write rows at the end."""
        end = self.size + len(rows)
        if end > len(self.values):
            capacity = max(FIRST_CAPACITY, end, 2 * len(self.values))
            grown = np.zeros((capacity, *rows.shape[1:]), self.values.dtype)
            if self.size:
                grown[: self.size] = self.values[: self.size]
            self.values = grown
        self.values[self.size : end] = rows
        self.size = end
