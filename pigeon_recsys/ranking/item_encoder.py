"""The half of a request that belongs to its items, encoded once an item and then kept.

In:  the items to score.
Out: their pictures, texts and id bags, in columns.

A feed ranks the same catalog again and again. Looking up the ids and hashing the title of an item
takes longer than scoring it, so both are remembered by item id, as long as the item stays the
same. Generated items come and go: they have a table of their own, and never push catalog items
out. Threads may share an encoder: at worst two of them encode an item at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pigeon_recsys.errors import RankingError
from pigeon_recsys.ports import TextEmbedder
from pigeon_recsys.ranking.bags import Bags, Ids
from pigeon_recsys.ranking.features import ATTRIBUTE_PREFIX, ITEM, RankFeatures
from pigeon_recsys.ranking.item_table import EncodedItem, ItemTable
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import RankItem, Vectors

# B items of a request, D width of a picture's vector, T of a text's

CATALOG_ITEMS, GENERATED_ITEMS = 1 << 16, 1 << 12  # kept; then a table starts anew

AttributeValue = str | tuple[str, ...]


@dataclass(frozen=True)
class ItemColumns:
    """Items as the ranker reads them."""

    pictures: Vectors  # (B, D)
    texts: Vectors  # (B, T)
    bags: Mapping[str, Bags]  # of B


class ItemEncoder:
    """Encodes items for one ranker."""

    def __init__(self, features: RankFeatures, text: TextEmbedder | None) -> None:
        self._features = features
        self._text = text
        self._names = (ITEM, *(ATTRIBUTE_PREFIX + name for name in features.attributes))
        self._tables = {
            False: ItemTable(len(self._names), CATALOG_ITEMS),
            True: ItemTable(len(self._names), GENERATED_ITEMS),
        }

    def encode(self, items: Sequence[RankItem]) -> ItemColumns:
        """Return the items' columns. Raises `RankingError` for a vector that is none."""
        is_generated_B = np.fromiter((item.is_generated for item in items), np.bool_, len(items))
        num_generated = int(is_generated_B.sum())
        if num_generated in (0, len(items)):
            return self._of_one_table(items, is_generated=num_generated > 0)
        order_B = np.argsort(is_generated_B, kind="stable")  # catalog items first
        ordered = [items[number] for number in order_B]
        num_catalog = len(items) - num_generated
        return _in_order(
            [
                self._of_one_table(ordered[:num_catalog], is_generated=False),
                self._of_one_table(ordered[num_catalog:], is_generated=True),
            ],
            np.argsort(order_B),
        )

    def _of_one_table(self, items: Sequence[RankItem], *, is_generated: bool) -> ItemColumns:
        if not items:
            return ItemColumns(
                np.empty((0, self._features.image_dim), np.float32),
                np.empty((0, self._features.text_dim), np.float32),
                {name: Bags.from_lists([]) for name in self._names},
            )
        table, rows_B = self._rows(items, is_generated)
        bags = {name: table.bags(number, rows_B) for number, name in enumerate(self._names)}
        return ItemColumns(table.pictures(rows_B), table.texts(rows_B), bags)

    def _rows(self, items: Sequence[RankItem], is_generated: bool) -> tuple[ItemTable, Ids]:
        """Return the items' rows of a table, where new ones are added; a full one starts anew."""
        table = self._tables[is_generated]
        rows = [table.find(item) for item in items]
        for number, row in enumerate(rows):
            if row is not None:
                continue
            encoded = self._encode(items[number])
            if table.is_full:
                limit = GENERATED_ITEMS if is_generated else CATALOG_ITEMS
                self._tables[is_generated] = ItemTable(len(self._names), max(limit, len(items)))
                return self._rows(items, is_generated)
            rows[number] = table.add(encoded)
        return table, np.array(rows, np.int64)

    def _encode(self, item: RankItem) -> EncodedItem:
        features = self._features
        own_row = () if item.is_generated else (features.item.row(item.item_id),)
        attributes = (
            value_rows(vocabulary, item.attributes.get(name, ()))
            for name, vocabulary in features.attributes.items()
        )
        self._check_picture(item)
        return EncodedItem(item, (own_row, *attributes), self._text_vector(item))

    def _check_picture(self, item: RankItem) -> None:
        dim = self._features.image_dim
        if item.embedding.shape != (dim,):
            raise RankingError(
                f"the embedding of item {item.item_id!r} has shape {item.embedding.shape}, the "
                f"ranker was trained on ({dim},). Embed it with the embedder of the item index."
            )
        if not np.isfinite(item.embedding).all():
            raise RankingError(
                f"the embedding of item {item.item_id!r} holds NaN or infinity. "
                "Embed its picture again."
            )

    def _text_vector(self, item: RankItem) -> Vectors:
        if item.text_embedding is not None:
            return self._checked_text(item, item.text_embedding)
        if self._text is None:
            raise RankingError(
                f"item {item.item_id!r} has no text_embedding, and the ranker was trained with "
                f"texts embedded by {self._features.text_version!r}. Give every item one, or load "
                "the ranker with that embedder."
            )
        vector_T: Vectors = self._text.embed([item.text])[0]
        return vector_T

    def _checked_text(self, item: RankItem, vector_T: Vectors) -> Vectors:
        dim = self._features.text_dim
        if vector_T.shape != (dim,) or not np.isfinite(vector_T).all():
            raise RankingError(
                f"the text embedding of item {item.item_id!r} must be {dim} finite numbers, got "
                f"shape {vector_T.shape}. Embed it with {self._features.text_version!r}."
            )
        return vector_T


def value_rows(vocabulary: Vocabulary, value: AttributeValue) -> tuple[int, ...]:
    """Return the table rows of an attribute; a string is one value, a tuple several."""
    return tuple(map(vocabulary.row, (value,) if isinstance(value, str) else value))


def packed(rows: Iterable[tuple[int, ...]]) -> Bags:
    """Return one bag a tuple."""
    tuples = list(rows)
    lengths = np.fromiter(map(len, tuples), np.int64, len(tuples))
    values = np.fromiter(chain.from_iterable(tuples), np.int64, int(lengths.sum()))
    return Bags(values, lengths)


def _in_order(parts: Sequence[ItemColumns], order_B: Ids) -> ItemColumns:
    """Return all parts' items in another order."""
    return ItemColumns(
        np.concatenate([part.pictures for part in parts])[order_B],
        np.concatenate([part.texts for part in parts])[order_B],
        {
            name: Bags.concatenated([part.bags[name] for part in parts]).take(order_B)
            for name in parts[0].bags
        },
    )
