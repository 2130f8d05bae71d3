"""What the ranker looks at: ids as bags, pictures as vectors.

In:  a user's history and the items to score.
Out: a `Batch`, one row an item, the same numbers in training and in serving.

    bag              ids of one row                         empty when
    user             the user                               never
    item             the item                               it was generated: it has no id history
    history          the newest liked items                 nothing was liked
    attribute.NAME   the item's values of that attribute    the item has none

    image            the item's picture
    taste            mean picture of the newest liked items, zero when nothing was liked

The two vectors say whether a picture resembles what the user likes, for items without an id.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.errors import RankingError, UnknownItem
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.ranking.bags import Bags, Ids
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import History, RankItem, Vectors

USER, ITEM, HISTORY = "user", "item", "history"
ATTRIBUTE_PREFIX = "attribute."


@dataclass(frozen=True)
class RankFeatures:
    """The features one ranker was trained with; it travels with the weights and the export."""

    image_dim: int
    history_len: int  # liked items in `history` and `taste`, newest kept
    user: Vocabulary
    item: Vocabulary
    attributes: Mapping[str, Vocabulary]

    @property
    def bag_names(self) -> tuple[str, ...]:
        """The id features, in the order in which the model reads them."""
        return (USER, ITEM, HISTORY, *(ATTRIBUTE_PREFIX + name for name in self.attributes))

    def to_json(self) -> str:
        """Return everything needed to build the same features elsewhere."""
        fields = {
            "image_dim": self.image_dim,
            "history_len": self.history_len,
            USER: self.user.to_json(),
            ITEM: self.item.to_json(),
            "attributes": {name: table.to_json() for name, table in self.attributes.items()},
        }
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "RankFeatures":
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(
            image_dim=int(fields["image_dim"]),
            history_len=int(fields["history_len"]),
            user=Vocabulary.from_json(fields[USER]),
            item=Vocabulary.from_json(fields[ITEM]),
            attributes={
                name: Vocabulary.from_json(table) for name, table in fields["attributes"].items()
            },
        )


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """B rows for the ranker."""

    image: Vectors  # (B, D)
    taste: Vectors  # (B, D)
    bags: dict[str, Bags]  # in the order of `RankFeatures.bag_names`

    def __len__(self) -> int:
        return len(self.image)


def encode_request(
    features: RankFeatures, history: History, items: Sequence[RankItem], index: ItemIndex
) -> Batch:
    """Return one row an item, for the user whose history is given."""
    liked = history.liked[-features.history_len :]
    taste_D = _mean_picture(index, liked, features.image_dim)
    bags = {
        USER: Bags.singles(_repeated([features.user.row(history.user_id)], len(items))),
        ITEM: Bags.from_lists(
            [] if item.is_generated else [features.item.row(item.item_id)] for item in items
        ),
        HISTORY: Bags(
            _repeated([features.item.row(item_id) for item_id in liked], len(items)),
            np.full(len(items), len(liked), np.int64),
        ),
    }
    for name, vocabulary in features.attributes.items():
        bags[ATTRIBUTE_PREFIX + name] = attribute_bags(
            vocabulary, [item.attributes.get(name, ()) for item in items]
        )
    return Batch(
        image=_pictures(items, features.image_dim),
        taste=np.tile(taste_D, (len(items), 1)),
        bags=bags,
    )


def attribute_bags(vocabulary: Vocabulary, values: Sequence[str | tuple[str, ...]]) -> Bags:
    """Return one bag an item; a string is one value, a tuple several."""
    return Bags.from_lists(
        map(vocabulary.row, (value,) if isinstance(value, str) else value) for value in values
    )


def _repeated(rows: list[int], times: int) -> Ids:
    return np.tile(np.array(rows, np.int64), times)


def _pictures(items: Sequence[RankItem], dim: int) -> Vectors:
    for item in items:
        if item.embedding.shape != (dim,):
            raise RankingError(
                f"the embedding of item {item.item_id!r} has shape {item.embedding.shape}, the "
                f"ranker was trained on ({dim},). Embed it with the embedder of the item index."
            )
    image_BD = np.array([item.embedding for item in items], np.float32).reshape(len(items), dim)
    is_finite = np.isfinite(image_BD).all(axis=1)
    if not is_finite.all():
        item = items[int(np.argmin(is_finite))]
        raise RankingError(
            f"the embedding of item {item.item_id!r} holds NaN or infinity. "
            "Embed its picture again."
        )
    return image_BD


def _mean_picture(index: ItemIndex, liked: Sequence[str], dim: int) -> Vectors:
    """Return the mean vector of the liked items that the index holds.

    A liked item may have left the catalog since, and a generated one never was in it.
    """
    remaining = list(liked)
    while remaining:
        try:
            mean_D: Vectors = index.vectors(remaining).mean(axis=0, dtype=np.float32)
        except UnknownItem as exc:
            remaining.remove(exc.item_id)
        else:
            return _checked_width(mean_D, dim)
    return np.zeros(dim, np.float32)


def _checked_width(mean_D: Vectors, dim: int) -> Vectors:
    if mean_D.shape != (dim,):
        raise RankingError(
            f"the item index holds vectors of width {len(mean_D)}, the ranker was trained on "
            f"{dim}. Give the index it was trained with, or train it again with this one."
        )
    return mean_D
