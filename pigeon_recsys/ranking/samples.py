"""Turn interactions into training rows, each seeing only what happened before it.

In:  a dataset's interactions and the vectors of its items.
Out: `Samples`: rows (moment, item, label), of which `batch` makes features.

A like is a positive row and a skip a negative one. Skips are few and say nothing of items
that were never shown, so every like also brings negatives: items drawn uniformly among those
the user did not meet, as far as is known. A score is therefore the chance of a like against such
a draw, comparable between the items of one request; it is no click-through rate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.ranking.bags import Bags, Ids
from pigeon_recsys.ranking.context import NEVER, context_rows, without_time
from pigeon_recsys.ranking.features import (
    ATTRIBUTE_PREFIX,
    HISTORY,
    ITEM,
    USER,
    Batch,
    RankFeatures,
)
from pigeon_recsys.ranking.item_encoder import packed, value_rows
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.records import LIKE, NEUTRAL, Interaction, Item, Vectors

Labels = NDArray[np.float32]
MAX_DRAWS = 8  # redraws of negatives the user has met; who met nearly all items gets fewer


@dataclass(frozen=True, eq=False)
class ItemTable:
    """Every item's features, computed once; an item is then a number."""

    item_rows: Ids  # (I,) rows of the item vocabulary
    attributes: dict[str, Bags]
    vectors: Vectors  # (I, D) of the pictures
    texts: Vectors  # (I, T)

    @classmethod
    def of(
        cls, items: Sequence[Item], vectors_ID: Vectors, texts_IT: Vectors, features: RankFeatures
    ) -> "ItemTable":
        """Encode the items, whose vectors come in the same order."""
        attributes = {
            ATTRIBUTE_PREFIX + name: packed(
                value_rows(vocabulary, item.attributes.get(name, ())) for item in items
            )
            for name, vocabulary in features.attributes.items()
        }
        item_rows = features.item.rows(item.item_id for item in items)
        return cls(item_rows, attributes, vectors_ID, texts_IT)


@dataclass(frozen=True, eq=False)
class Moments:
    """One entry a like or skip: who acted on what, and what that user had liked before."""

    users: tuple[str, ...]
    items: Ids  # (M,) item numbers
    is_like: NDArray[np.bool_]
    at_ms: Ids
    last_ms: Ids  # when the user's event before that was, of any kind; `NEVER` without one
    liked_before: Bags  # item numbers, oldest first, at most the history length

    def take(self, is_taken: NDArray[np.bool_]) -> "Moments":
        """Return the marked entries."""
        rows = np.flatnonzero(is_taken)
        return Moments(
            users=tuple(self.users[row] for row in rows),
            items=self.items[rows],
            is_like=self.is_like[rows],
            at_ms=self.at_ms[rows],
            last_ms=self.last_ms[rows],
            liked_before=self.liked_before.take(rows),
        )


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled rows; the features are built batch by batch, so that memory stays small."""

    moments: Moments
    history_len: int
    user_rows: Ids  # (M,) rows of the user vocabulary
    row_moments: Ids  # (N,)
    row_items: Ids  # (N,) item numbers
    labels: Labels  # (N,) 1 for a like

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Ids, table: ItemTable) -> Batch:
        """Return the features of these rows, each a request of its own."""
        moments, items = self.row_moments[rows], self.row_items[rows]
        liked = self.moments.liked_before.take(moments)
        item_bags = {name: bags.take(items) for name, bags in table.attributes.items()}
        return Batch(
            image=table.vectors[items],
            text=table.texts[items],
            taste=liked.means_of(table.vectors),
            context=context_rows(
                self.moments.at_ms[moments],
                self.moments.last_ms[moments],
                liked.lengths,
                self.history_len,
            ),
            bags={
                USER: Bags.singles(self.user_rows[moments]),
                HISTORY: Bags(table.item_rows[liked.values], liked.lengths),
                ITEM: Bags.singles(table.item_rows[items]),
                **item_bags,
            },
            request_of_row=np.arange(len(rows)),
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
    last_ms: list[int] = []
    liked_before: list[list[int]] = []
    for _, of_user in groupby(interactions, key=lambda row: row.user_id):
        liked: dict[int, None] = {}
        last = NEVER
        for at_ms, at_once in groupby(of_user, key=lambda row: row.at_ms):
            simultaneous = [row for row in at_once if row.event != NEUTRAL]
            last_ms += [last] * len(simultaneous)
            last = at_ms
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
        last_ms=np.array(last_ms, np.int64),
        liked_before=Bags.from_lists(liked_before),
    )


def label_rows(
    moments: Moments,
    met: dict[str, Ids],
    drawable: Ids,
    features: RankFeatures,
    negatives_per_like: int,
    generator: np.random.Generator,
) -> Samples:
    """Return the moments as rows, and negatives drawn from the items `drawable`.

    `met` are each user's items, of which none is drawn for that user.
    """
    likes = np.flatnonzero(moments.is_like)
    drawn_for = np.repeat(likes, negatives_per_like)
    drawn = _draw_unmet(moments.users, met, drawn_for, drawable, generator)
    is_new = drawn >= 0
    num_drawn = int(is_new.sum())
    return Samples(
        moments=moments,
        history_len=features.history_len,
        user_rows=features.user.rows(moments.users),
        row_moments=np.concatenate([np.arange(len(moments.users)), drawn_for[is_new]]),
        row_items=np.concatenate([moments.items, drawn[is_new]]),
        labels=np.concatenate([moments.is_like, np.zeros(num_drawn)]).astype(np.float32),
    )


def items_met(interactions: Iterable[Interaction], item_ids: Sequence[str]) -> dict[str, Ids]:
    """Return the numbers of all items that each user interacted with."""
    number_of = {item_id: number for number, item_id in enumerate(item_ids)}
    met: dict[str, set[int]] = {}
    for row in interactions:
        met.setdefault(row.user_id, set()).add(number_of[row.item_id])
    return {user: np.array(sorted(numbers), np.int64) for user, numbers in met.items()}


@dataclass(frozen=True, eq=False)
class Dropout:
    """What is hidden from training rows, so that the model learns to score without it.

    A hidden user turns into one never seen. A hidden item turns into a generated one (an empty
    bag) or into a catalog item never seen, half and half. A hidden time is one not known.
    """

    is_generated: NDArray[np.bool_]  # (B,)
    is_new_item: NDArray[np.bool_]
    is_new_user: NDArray[np.bool_]
    is_untimed: NDArray[np.bool_]
    new_items: Ids  # (B,) rows of the tables, for those that are hidden
    new_users: Ids

    @classmethod
    def draw(
        cls,
        num_rows: int,
        features: RankFeatures,
        settings: RankerSettings,
        generator: np.random.Generator,
    ) -> "Dropout":
        """Return what is hidden from a batch."""
        item_chance, user_chance, time_chance = generator.random((3, num_rows))
        is_generated = item_chance < settings.item_dropout / 2
        return cls(
            is_generated=is_generated,
            is_new_item=~is_generated & (item_chance < settings.item_dropout),
            is_new_user=user_chance < settings.user_dropout,
            is_untimed=time_chance < settings.time_dropout,
            new_items=generator.integers(features.item.num_known, features.item.num_rows, num_rows),
            new_users=generator.integers(features.user.num_known, features.user.num_rows, num_rows),
        )

    def take(self, rows: Ids) -> "Dropout":
        """Return what is hidden from these rows of the batch."""
        return Dropout(*(getattr(self, field.name)[rows] for field in fields(self)))

    def apply(self, batch: Batch) -> Batch:
        """Return the rows, each a request of its own, without what is hidden."""
        users, items = batch.bags[USER].values, batch.bags[ITEM].values
        users = np.where(self.is_new_user, self.new_users, users)
        items = np.where(self.is_new_item, self.new_items, items)
        timed = np.where(self.is_untimed[:, None], without_time(batch.context), batch.context)
        hidden = {
            USER: Bags.singles(users),
            ITEM: Bags.singles(items).emptied(self.is_generated),
        }
        return replace(batch, context=timed, bags={**batch.bags, **hidden})


def _update(liked: dict[int, None], item: int, *, is_like: bool) -> None:
    liked.pop(item, None)
    if is_like:
        liked[item] = None


def _draw_unmet(
    users: Sequence[str],
    met: dict[str, Ids],
    drawn_for: Ids,
    drawable: Ids,
    generator: np.random.Generator,
) -> Ids:
    """Return one item a draw that its user never met, or -1 where none was found."""
    user_numbers = {user: number for number, user in enumerate(met)}
    num_items = 1 + max(int(drawable.max()), *(int(items.max()) for items in met.values()))
    met_keys = np.concatenate([user_numbers[user] * num_items + met[user] for user in met])
    first_keys = np.array([user_numbers[user] * num_items for user in users])[drawn_for]
    drawn = np.full(len(drawn_for), -1, np.int64)
    for _ in range(MAX_DRAWS):
        is_open = np.flatnonzero(drawn < 0)
        tries = drawable[generator.integers(0, len(drawable), len(is_open))]
        is_unmet = ~np.isin(first_keys[is_open] + tries, met_keys)
        drawn[is_open[is_unmet]] = tries[is_unmet]
    return drawn
