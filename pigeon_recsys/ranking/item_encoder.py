"""The half of a request that belongs to its items.

In:  items.
Out: their pictures, texts and id bags, in columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pigeon_recsys.errors import RankingError
from pigeon_recsys.ports import TextEmbedder
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.features import ATTRIBUTE_PREFIX, ITEM, RankFeatures
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import RankItem, Vectors

# B items of a request, D width of a picture's vector, T of a text's

AttributeValue = str | tuple[str, ...]


@dataclass(frozen=True)
class ItemColumns:
    """Items as the ranker reads them."""

    pictures: Vectors  # (B, D)
    texts: Vectors  # (B, T)
    bags: Mapping[str, Bags]  # of B


class ItemEncoder:
    """Encodes items for one ranker; threads may share it."""

    def __init__(self, features: RankFeatures, text: TextEmbedder | None) -> None:
        self._features = features
        self._text = text

    def encode(self, items: Sequence[RankItem]) -> ItemColumns:
        """Return the items' columns. Raises `RankingError` for a vector that is none."""
        features = self._features
        for item in items:
            self._check_picture(item)
        bags = {ITEM: packed(self._own_row(item) for item in items)}
        for name, vocabulary in features.attributes.items():
            rows = (value_rows(vocabulary, item.attributes.get(name, ())) for item in items)
            bags[ATTRIBUTE_PREFIX + name] = packed(rows)
        return ItemColumns(
            _stacked([item.embedding for item in items], features.image_dim),
            _stacked([self._text_vector(item) for item in items], features.text_dim),
            bags,
        )

    def _own_row(self, item: RankItem) -> tuple[int, ...]:
        return () if item.is_generated else (self._features.item.row(item.item_id),)

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


def _stacked(vectors: Sequence[Vectors], dim: int) -> Vectors:
    """Return vectors as rows, also without any."""
    rows_BD = np.array(vectors, np.float32)
    return rows_BD.reshape(len(vectors), dim)
