"""What the ranker looks at: ids as bags, pictures, texts and the moment as vectors.

In:  a user's history, the items to score, and the moment.
Out: a `Batch`, one row an item, the same numbers in training and in serving.

    bag              ids of one row                         empty when
    user             the user                               never
    history          the newest liked items                 nothing was liked
    item             the item                               it was generated: it has no id history
    attribute.NAME   the item's values of that attribute    the item has none

    image            the item's picture
    text             the item's title, embedded (`text.py`)
    taste            mean picture of the newest liked items, zero when nothing was liked
    context          the moment (`context.py`)

Picture, text and attributes say whether an item is to the user's taste when its id says nothing.
What belongs to the request (user, history, taste, context) is held once for all its rows.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pigeon_recsys.ranking.bags import Bags, Ids
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import Vectors

USER, ITEM, HISTORY = "user", "item", "history"
REQUEST_BAGS = (USER, HISTORY)
ATTRIBUTE_PREFIX = "attribute."


@dataclass(frozen=True)
class RankFeatures:
    """The features one ranker was trained with; it travels with the weights and the export."""

    image_dim: int
    text_dim: int
    text_version: str  # of the text embedder
    history_len: int  # liked items in `history` and `taste`, newest kept
    user: Vocabulary
    item: Vocabulary
    attributes: Mapping[str, Vocabulary]

    @property
    def bag_names(self) -> tuple[str, ...]:
        """The id features, in the order in which the model reads them."""
        return (USER, HISTORY, ITEM, *(ATTRIBUTE_PREFIX + name for name in self.attributes))

    def to_json(self) -> str:
        """Return everything needed to build the same features elsewhere."""
        fields = {
            "image_dim": self.image_dim,
            "text_dim": self.text_dim,
            "text_version": self.text_version,
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
            text_dim=int(fields["text_dim"]),
            text_version=str(fields["text_version"]),
            history_len=int(fields["history_len"]),
            user=Vocabulary.from_json(fields[USER]),
            item=Vocabulary.from_json(fields[ITEM]),
            attributes={
                name: Vocabulary.from_json(table) for name, table in fields["attributes"].items()
            },
        )


@dataclass(frozen=True, eq=False, slots=True)
class RequestSide:
    """What belongs to one request and not to its items."""

    taste: Vectors  # (1, D)
    context: Vectors  # (1, C)
    bags: Mapping[str, Bags]  # `REQUEST_BAGS`, one of each


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """B rows for the ranker, of U requests."""

    image: Vectors  # (B, D)
    text: Vectors  # (B, T)
    taste: Vectors  # (U, D)
    context: Vectors  # (U, C)
    bags: Mapping[str, Bags]  # as `RankFeatures.bag_names`; U bags of `REQUEST_BAGS`, B of others
    request_of_row: Ids  # (B,)

    def __len__(self) -> int:
        return len(self.request_of_row)

    def side(self, request: int) -> RequestSide:
        """Return what belongs to one of the requests."""
        rows = np.array([request])
        bags = {name: self.bags[name].take(rows) for name in REQUEST_BAGS}
        return RequestSide(self.taste[rows], self.context[rows], bags)

    def expanded(self) -> "Batch":
        """Return the same rows, each as a request of its own."""
        requests = self.request_of_row
        of_request = {name: self.bags[name].take(requests) for name in REQUEST_BAGS}
        return replace(
            self,
            taste=self.taste[requests],
            context=self.context[requests],
            bags={**self.bags, **of_request},
            request_of_row=np.arange(len(self)),
        )

    def with_bags(self, bags: Mapping[str, Bags]) -> "Batch":
        """Return the same rows with some bags replaced."""
        return replace(self, bags={**self.bags, **bags})
