"""Turn one request into rows for the ranker, in serving.

In:  a user's history, the items to score, and the moment where it is known.
Out: a `Batch` of one request, with the same numbers as training made (`samples.py`).
"""

from collections.abc import Sequence

import numpy as np

from pigeon_recsys.errors import RankingError, SettingsError, UnknownItem
from pigeon_recsys.ports import ItemIndex, TextEmbedder
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.context import request_context
from pigeon_recsys.ranking.features import HISTORY, USER, Batch, RankFeatures, RequestSide
from pigeon_recsys.ranking.item_encoder import ItemColumns, ItemEncoder
from pigeon_recsys.ranking.text import HashedText
from pigeon_recsys.records import History, RankContext, RankItem, Vectors


class RequestEncoder:
    """Encodes requests for one ranker; threads may share it."""

    def __init__(
        self, features: RankFeatures, index: ItemIndex, text: TextEmbedder | None = None
    ) -> None:
        self._features = features
        self._index = index
        self._items = ItemEncoder(features, text or _text_of(features))
        if text is not None and text.version != features.text_version:
            raise SettingsError(
                f"the ranker was trained with texts embedded by {features.text_version!r}, got "
                f"the embedder {text.version!r}. Give it the one it was trained with."
            )

    def encode(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Batch:
        """Return one row an item, for the user whose history is given."""
        side, columns = self.side(history, context), self.items(items)
        return Batch(
            image=columns.pictures,
            text=columns.texts,
            taste=side.taste,
            context=side.context,
            bags={**side.bags, **columns.bags},
            request_of_row=np.zeros(len(items), np.int64),
        )

    def items(self, items: Sequence[RankItem]) -> ItemColumns:
        """Return the half of a request that belongs to its items."""
        return self._items.encode(items)

    def side(self, history: History, context: RankContext | None = None) -> RequestSide:
        """Return the half of a request that belongs to its user and moment."""
        features = self._features
        liked = history.liked[-features.history_len :]
        return RequestSide(
            taste=self._taste(liked)[None],
            context=request_context(context, history, len(liked), features.history_len),
            bags={
                USER: Bags.from_lists([[features.user.row(history.user_id)]]),
                HISTORY: Bags.from_lists([map(features.item.row, liked)]),
            },
        )

    def _taste(self, liked: Sequence[str]) -> Vectors:
        """Return the mean vector of the liked items that the index holds, zero without any.

        A liked item may have left the catalog since, and a generated one never was in it.
        """
        remaining = list(liked)
        while remaining:
            try:
                mean_D: Vectors = self._index.vectors(remaining).mean(axis=0, dtype=np.float32)
            except UnknownItem as exc:
                remaining.remove(exc.item_id)
            else:
                return _checked_width(mean_D, self._features.image_dim)
        return np.zeros(self._features.image_dim, np.float32)


def _text_of(features: RankFeatures) -> TextEmbedder | None:
    """Return the text embedder of the ranker where it is the built-in one."""
    hashed = HashedText(features.text_dim)
    return hashed if hashed.version == features.text_version else None


def _checked_width(mean_D: Vectors, dim: int) -> Vectors:
    if mean_D.shape != (dim,):
        raise RankingError(
            f"the item index holds vectors of width {len(mean_D)}, the ranker was trained on "
            f"{dim}. Give the index it was trained with, or train it again with this one."
        )
    return mean_D
