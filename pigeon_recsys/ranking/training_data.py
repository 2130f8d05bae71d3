"""Split a dataset's interactions and turn both sides into rows.

In:  a dataset folder, an index of its pictures, and a text embedder for its titles.
Out: training rows, held-out rows, and the features of both.

Test users are not read. Of the others, the newest share of the time line is held out; users
of the validation part are held out whole, so the metrics also cover users never seen.

Negatives of training rows are drawn among the items that the user had not met before the cut, so
training knows nothing of what is held out; some are liked afterwards, as they would be of a ranker
that is trained today. Held-out rows are measured against items that the user never met at all.

Items may be withheld, to measure what a ranker makes of items it never saw: no training row,
negative or history holds one, and the held-out rows hold nothing else.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.errors import DatasetError
from pigeon_recsys.ports import ItemIndex, TextEmbedder
from pigeon_recsys.ranking.features import RankFeatures
from pigeon_recsys.ranking.quality import Heldout, ranked_lists
from pigeon_recsys.ranking.samples import (
    ItemTable,
    Moments,
    Samples,
    collect_moments,
    items_met,
    label_rows,
)
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.ranking.text import HashedText
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import Item

if TYPE_CHECKING:
    from pigeon_recsys.datasets.folder import DatasetFolder


@dataclass(frozen=True, eq=False)
class RankingData:
    """All that training and its metrics read."""

    features: RankFeatures
    train: Samples
    heldout: Heldout


def prepare(
    dataset: "DatasetFolder",
    index: ItemIndex,
    settings: RankerSettings,
    text: TextEmbedder | None = None,
    withheld: Collection[str] = (),
) -> RankingData:
    """Return the rows to train on and those to measure with."""
    text = text or HashedText(settings.text_dim)
    items = [dataset.item(item_id) for item_id in dataset.item_ids]
    is_withheld = np.array([item.item_id in withheld for item in items], np.bool_)
    interactions = [row for row in dataset.interactions if user_split(row.user_id) != "test"]
    seen = [row for row in interactions if row.item_id not in withheld]
    before, cut_ms = _older(collect_moments(seen, dataset.item_ids, settings.history_len), settings)
    after = _newest(collect_moments(interactions, dataset.item_ids, settings.history_len), settings)
    if withheld:
        after = after.take(is_withheld[after.items])
    _require_rows(dataset.path, before, after)
    vectors_ID = index.vectors(dataset.item_ids)
    known = [item for item in items if item.item_id not in withheld]
    features = build_features(
        before, known, dataset.attribute_names, vectors_ID.shape[1], text, settings
    )
    met = items_met(interactions, dataset.item_ids)
    met_before = items_met((row for row in interactions if row.at_ms < cut_ms), dataset.item_ids)
    generator = np.random.default_rng(settings.seed)
    of_training, of_heldout = np.flatnonzero(~is_withheld), np.arange(len(items))
    if withheld:
        of_heldout = np.flatnonzero(is_withheld)
    drawn, lists = settings.negatives_per_like, settings.ndcg_negatives
    train = label_rows(before, met_before, of_training, features, drawn, generator)
    rows = label_rows(after, met, of_heldout, features, drawn, generator)
    likes = after.take(after.is_like)
    many = label_rows(likes, met, of_heldout, features, lists, generator)
    return RankingData(
        features=features,
        train=train,
        heldout=Heldout(
            table=ItemTable.of(
                items, vectors_ID, text.embed([item.title for item in items]), features
            ),
            rows=rows,
            lists=ranked_lists(many, settings.ndcg_likes, generator),
            is_new_user=rows.user_rows[rows.row_moments] >= features.user.num_known,
            base_rate=float(train.labels.mean()),
            seed=settings.seed,
        ),
    )


def build_features(
    moments: Moments,
    items: list[Item],
    attribute_names: tuple[str, ...],
    image_dim: int,
    text: TextEmbedder,
    settings: RankerSettings,
) -> RankFeatures:
    """Return the features: users of the training moments, known items and attribute values."""
    return RankFeatures(
        image_dim=image_dim,
        text_dim=text.dim,
        text_version=text.version,
        history_len=settings.history_len,
        user=Vocabulary.of(moments.users, settings.unseen_user_rows),
        item=Vocabulary.of((item.item_id for item in items), settings.unseen_item_rows),
        attributes={
            name: Vocabulary.of(_values_of(name, items), settings.unseen_item_rows)
            for name in attribute_names
        },
    )


def _cut_ms(moments: Moments, settings: RankerSettings) -> float:
    """Return when the newest share of the time line begins."""
    if not len(moments.at_ms):
        return np.inf
    return float(np.quantile(moments.at_ms, 1 - settings.holdout_share))


def _older(moments: Moments, settings: RankerSettings) -> tuple[Moments, float]:
    """Return what training may see, and when it ends."""
    cut_ms = _cut_ms(moments, settings)
    is_train_user = np.array([user_split(user) == "train" for user in moments.users], np.bool_)
    return moments.take((moments.at_ms < cut_ms) & is_train_user), cut_ms


def _newest(moments: Moments, settings: RankerSettings) -> Moments:
    """Return the newest share of the time line."""
    return moments.take(moments.at_ms >= _cut_ms(moments, settings))


def _require_rows(folder: Path, before: Moments, after: Moments) -> None:
    faults = [
        f"no like of a training user lies in the {part} part of the time line"
        for part, moments in (("older", before), ("newest", after))
        if not moments.is_like.any()
    ]
    if faults:
        raise DatasetError(folder, [*faults, "a ranker needs likes in both: add interactions"])


def _values_of(name: str, items: list[Item]) -> set[str]:
    values: set[str] = set()
    for item in items:
        value = item.attributes.get(name, ())
        values.update((value,) if isinstance(value, str) else value)
    return values
