"""Measure a ranker on the newest interactions, which training did not see.

In:  a function from batches to probabilities, and the held-out rows.
Out: a `RankerReport`.

Area under the ROC curve, log loss and calibration error are of likes against skips and a few
drawn items, with the same number of draws a like as in training, because a probability means the
share of likes among such rows. NDCG@10 is of each like among `ndcg_negatives` drawn items that
its user never met: a sampled metric, comparable between rankers on the same draws and not with
numbers from other protocols (Krichene and Rendle, KDD 2020).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.ranking.bags import Ids
from pigeon_recsys.ranking.features import ITEM, Batch
from pigeon_recsys.ranking.metrics import (
    Interval,
    area_interval,
    area_under_roc,
    calibration_error,
    log_loss,
    ndcg_of_one,
    user_interval,
)
from pigeon_recsys.ranking.samples import ItemTable, Samples
from pigeon_recsys.records import Vectors

NDCG_AT = 10
SCORE_BATCH = 4096  # rows scored at once

Scorer = Callable[[Batch], Vectors]


@dataclass(frozen=True)
class RankerReport:
    """What training gave. Metrics are of the newest interactions, which it did not see.

    None where one class is missing. Intervals are of 95 %, by bootstrap over users.
    """

    auc: float
    auc_interval: Interval
    auc_without_item_id: float  # every item scored as if it were generated
    auc_new_users: float | None  # users of whom training saw nothing
    ndcg_at_10: float
    ndcg_at_10_interval: Interval
    ndcg_at_10_of_chance: float  # of random scores on the same lists
    calibration_error: float  # in 15 bins of equal mass
    log_loss: float
    log_loss_of_base_rate: float  # always answering the share of likes; a model must be below
    num_train_rows: int
    num_heldout_rows: int
    num_heldout_users: int
    train_loss: float  # mean of the last epoch
    epoch_losses: tuple[float, ...]
    num_processes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Heldout:
    """What a ranker is measured on."""

    table: ItemTable
    rows: Samples  # likes, skips and a few drawn items
    lists: Samples  # for NDCG: likes first, then as many drawn items a like
    is_new_user: NDArray[np.bool_]  # for each of `rows`
    base_rate: float  # share of likes among the training rows
    seed: int  # of the bootstrap


@dataclass(frozen=True)
class Quality:
    """The metrics of one ranker on one part of the data."""

    auc: float
    auc_interval: Interval
    ndcg_at_10: float
    ndcg_at_10_interval: Interval


def measure(score: Scorer, heldout: Heldout) -> dict[str, object]:
    """Return the metrics of a report by name."""
    rows, labels, new = heldout.rows, heldout.rows.labels, heldout.is_new_user
    with_id = scores_of(score, rows, heldout.table)
    without_id = scores_of(lambda batch: score(_without_item_id(batch)), rows, heldout.table)
    has_both = bool(new.any()) and 0 < labels[new].mean() < 1
    quality = quality_of(with_id, score, heldout)
    return {
        "auc": quality.auc,
        "auc_interval": quality.auc_interval,
        "auc_without_item_id": area_under_roc(labels, without_id),
        "auc_new_users": area_under_roc(labels[new], with_id[new]) if has_both else None,
        "ndcg_at_10": quality.ndcg_at_10,
        "ndcg_at_10_interval": quality.ndcg_at_10_interval,
        "ndcg_at_10_of_chance": chance_ndcg(_num_others(heldout.lists)),
        "calibration_error": calibration_error(labels, with_id),
        "log_loss": log_loss(labels, with_id),
        "log_loss_of_base_rate": log_loss(labels, np.full_like(labels, heldout.base_rate)),
        "num_heldout_rows": len(rows),
        "num_heldout_users": len(set(rows.moments.users)),
    }


def quality_of(scores: Vectors, score: Scorer, heldout: Heldout) -> Quality:
    """Return how well a scorer ranks; `scores` are those of the held-out rows."""
    rows, lists = heldout.rows, heldout.lists
    list_scores = scores_of(score, lists, heldout.table)
    num_likes = int(lists.labels.sum())
    others_LN = list_scores[num_likes:].reshape(num_likes, -1)
    ndcg_L = ndcg_of_one(list_scores[:num_likes], others_LN, NDCG_AT)
    return Quality(
        auc=area_under_roc(rows.labels, scores),
        auc_interval=area_interval(rows.labels, scores, users_of(rows), heldout.seed),
        ndcg_at_10=float(ndcg_L.mean()),
        ndcg_at_10_interval=user_interval(
            users_of(lists)[:num_likes],
            lambda counts: float(np.average(ndcg_L, weights=counts)),
            heldout.seed,
        ),
    )


def scores_of(score: Scorer, samples: Samples, table: ItemTable) -> Vectors:
    """Return the score of every row."""
    starts = range(0, len(samples), SCORE_BATCH)
    rows = [np.arange(start, min(start + SCORE_BATCH, len(samples))) for start in starts]
    return np.concatenate([score(samples.batch(part, table)) for part in rows])


def users_of(samples: Samples) -> Ids:
    """Return a number for the user of each row."""
    numbers: Ids = np.unique(np.array(samples.moments.users), return_inverse=True)[1]
    return numbers[samples.row_moments]


def chance_ndcg(num_others: int) -> float:
    """Return the mean NDCG@10 of a like whose rank among the others is random."""
    ranks = np.arange(1, num_others + 2)
    return float(np.where(ranks <= NDCG_AT, 1 / np.log2(1 + ranks), 0).mean())


def ranked_lists(likes: Samples, num_likes: int, generator: np.random.Generator) -> Samples:
    """Return a sample of `likes` as lists: likes first, then each one's drawn items.

    Likes for which some draws found nothing, because their user met nearly every item, are left
    out: all lists are as long.
    """
    is_like = likes.labels > 0
    num_drawn = np.bincount(likes.row_moments[~is_like], minlength=len(likes.moments.users))
    of_likes = np.flatnonzero(is_like)
    is_full = num_drawn[likes.row_moments[of_likes]] == num_drawn.max()
    chosen = np.sort(generator.permutation(of_likes[is_full])[:num_likes])
    moments = likes.row_moments[chosen]
    is_other = ~is_like & np.isin(likes.row_moments, moments)
    others = np.flatnonzero(is_other)
    others = others[np.argsort(likes.row_moments[others], kind="stable")]
    rows = np.concatenate([chosen[np.argsort(moments, kind="stable")], others])
    return replace(
        likes,
        row_moments=likes.row_moments[rows],
        row_items=likes.row_items[rows],
        labels=likes.labels[rows],
    )


def _num_others(lists: Samples) -> int:
    num_likes = int(lists.labels.sum())
    return (len(lists) - num_likes) // num_likes


def _without_item_id(batch: Batch) -> Batch:
    hidden = batch.bags[ITEM].emptied(np.ones(len(batch), np.bool_))
    return batch.with_bags({ITEM: hidden})
