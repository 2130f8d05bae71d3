"""Turn interactions into training rows, each seeing only what happened before it.

In:  a dataset's interactions and the vectors of its items.
Out: `Samples`: rows (moment, item, label), of which `batch` makes features.

A like is a positive row and a skip a negative one. Skips are few and say nothing of items
that were never shown, so every like also brings negatives: items drawn uniformly among those
the user never interacted with. A score is therefore the chance of a like against such a draw,
comparable between the items of one request; it is no click-through rate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.ranking.bags import Bags, Ids
from pigeon_recsys.ranking.features import (
    ATTRIBUTE_PREFIX,
    HISTORY,
    ITEM,
    USER,
    Batch,
    RankFeatures,
    attribute_bags,
)
from pigeon_recsys.records import LIKE, NEUTRAL, Interaction, Item, Vectors

Labels = NDArray[np.float32]
MAX_DRAWS = 8  # redraws of negatives the user has met; who met nearly all items gets fewer


@dataclass(frozen=True, eq=False)
class ItemTable:
    """Every item's features, computed once; an item is then a number."""

    item_rows: Ids  # (I,) rows of the item vocabulary
    attributes: dict[str, Bags]
    vectors: Vectors  # (I, D)

    @classmethod
    def of(cls, items: Sequence[Item], vectors_ID: Vectors, features: RankFeatures) -> "ItemTable":
        """Encode the items, whose vectors come in the same order."""
        attributes = {
            ATTRIBUTE_PREFIX + name: attribute_bags(
                vocabulary, [item.attributes.get(name, ()) for item in items]
            )
            for name, vocabulary in features.attributes.items()
        }
        return cls(features.item.rows(item.item_id for item in items), attributes, vectors_ID)


@dataclass(frozen=True, eq=False)
class Moments:
    """One entry a like or skip: who acted on what, and what that user had liked before."""

    users: tuple[str, ...]
    items: Ids  # (M,) item numbers
    is_like: NDArray[np.bool_]
    at_ms: Ids
    liked_before: Bags  # item numbers, oldest first, at most the history length

    def take(self, is_taken: NDArray[np.bool_]) -> "Moments":
        """Return the marked entries."""
        rows = np.flatnonzero(is_taken)
        return Moments(
            users=tuple(self.users[row] for row in rows),
            items=self.items[rows],
            is_like=self.is_like[rows],
            at_ms=self.at_ms[rows],
            liked_before=self.liked_before.take(rows),
        )


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled rows; the features are built batch by batch, so that memory stays small."""

    moments: Moments
    user_rows: Ids  # (M,) rows of the user vocabulary
    row_moments: Ids  # (N,)
    row_items: Ids  # (N,) item numbers
    labels: Labels  # (N,) 1 for a like

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Ids, table: ItemTable) -> Batch:
        """Return the features of these rows."""
        moments, items = self.row_moments[rows], self.row_items[rows]
        liked = self.moments.liked_before.take(moments)
        item_bags = {name: bags.take(items) for name, bags in table.attributes.items()}
        return Batch(
            image=table.vectors[items],
            taste=liked.means_of(table.vectors),
            bags={
                USER: Bags.singles(self.user_rows[moments]),
                ITEM: Bags.singles(table.item_rows[items]),
                HISTORY: Bags(table.item_rows[liked.values], liked.lengths),
                **item_bags,
            },
        )


def collect_moments(
    interactions: Iterable[Interaction], item_ids: Sequence[str], history_len: int
) -> Moments:
    """Walk through each user's likes and skips in time order.

    Interactions come sorted by user and time. Those of one user at one time do not see each
    other. What counts as liked follows `History.liked`.
    """
    number_of = {item_id: number for number, item_id in enumerate(item_ids)}
    rows: list[Interaction] = []
    liked_before: list[list[int]] = []
    for _, of_user in groupby(interactions, key=lambda row: row.user_id):
        liked: dict[int, None] = {}
        for _, at_once in groupby(of_user, key=lambda row: row.at_ms):
            simultaneous = [row for row in at_once if row.event != NEUTRAL]
            newest = list(islice(reversed(liked), history_len))[::-1]
            rows += simultaneous
            liked_before += [newest] * len(simultaneous)
            for row in simultaneous:
                _update(liked, number_of[row.item_id], is_like=row.event == LIKE)
    return Moments(
        users=tuple(row.user_id for row in rows),
        items=np.array([number_of[row.item_id] for row in rows], np.int64),
        is_like=np.array([row.event == LIKE for row in rows], np.bool_),
        at_ms=np.array([row.at_ms for row in rows], np.int64),
        liked_before=Bags.from_lists(liked_before),
    )


def label_rows(
    moments: Moments,
    met: dict[str, Ids],
    num_items: int,
    features: RankFeatures,
    negatives_per_like: int,
    generator: np.random.Generator,
) -> Samples:
    """Return the moments as rows, and the drawn negatives; `met` are each user's items."""
    likes = np.flatnonzero(moments.is_like)
    drawn_for = np.repeat(likes, negatives_per_like)
    drawn = _draw_unmet(moments.users, met, drawn_for, num_items, generator)
    is_new = drawn >= 0
    num_drawn = int(is_new.sum())
    return Samples(
        moments=moments,
        user_rows=features.user.rows(moments.users),
        row_moments=np.concatenate([np.arange(len(moments.users)), drawn_for[is_new]]),
        row_items=np.concatenate([moments.items, drawn[is_new]]),
        labels=np.concatenate([moments.is_like, np.zeros(num_drawn)]).astype(np.float32),
    )


def items_met(interactions: Iterable[Interaction], item_ids: Sequence[str]) -> dict[str, Ids]:
    """Return the numbers of all items each user ever interacted with, at any time."""
    number_of = {item_id: number for number, item_id in enumerate(item_ids)}
    met: dict[str, set[int]] = {}
    for row in interactions:
        met.setdefault(row.user_id, set()).add(number_of[row.item_id])
    return {user: np.array(sorted(numbers), np.int64) for user, numbers in met.items()}


def drop_ids(
    batch: Batch,
    features: RankFeatures,
    *,
    user_share: float,
    item_share: float,
    generator: np.random.Generator,
) -> Batch:
    """Hide ids from some rows, so that the model learns to score without them.

    A hidden user turns into one never seen. A hidden item turns into a generated one (an
    empty bag) or into a catalog item never seen, half and half.
    """
    chance = generator.random(len(batch))
    is_generated = chance < item_share / 2
    is_new = ~is_generated & (chance < item_share)
    is_new_user = generator.random(len(batch)) < user_share
    items = np.where(
        is_new,
        generator.integers(features.item.num_known, features.item.num_rows, len(batch)),
        batch.bags[ITEM].values,
    )
    users = np.where(
        is_new_user,
        generator.integers(features.user.num_known, features.user.num_rows, len(batch)),
        batch.bags[USER].values,
    )
    hidden = {
        USER: Bags.singles(users),
        ITEM: Bags.singles(items).emptied(is_generated),
    }
    return Batch(batch.image, batch.taste, {**batch.bags, **hidden})


def _update(liked: dict[int, None], item: int, *, is_like: bool) -> None:
    liked.pop(item, None)
    if is_like:
        liked[item] = None


def _draw_unmet(
    users: Sequence[str],
    met: dict[str, Ids],
    drawn_for: Ids,
    num_items: int,
    generator: np.random.Generator,
) -> Ids:
    """Return one item a draw that its user never met, or -1 where none was found."""
    user_numbers = {user: number for number, user in enumerate(met)}
    met_keys = np.concatenate([user_numbers[user] * num_items + met[user] for user in met])
    first_keys = np.array([user_numbers[user] * num_items for user in users])[drawn_for]
    drawn = np.full(len(drawn_for), -1, np.int64)
    for _ in range(MAX_DRAWS):
        is_open = np.flatnonzero(drawn < 0)
        tries = generator.integers(0, num_items, len(is_open))
        is_unmet = ~np.isin(first_keys[is_open] + tries, met_keys)
        drawn[is_open[is_unmet]] = tries[is_unmet]
    return drawn
