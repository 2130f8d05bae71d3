"""How well scores separate likes from the rest, and how honest they are as probabilities.

Intervals are drawn by bootstrap over users: a metric is computed again and again with the rows
of each user counted as often as the user was drawn.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.ranking.bags import Ids

Floats = NDArray[np.floating]

NUM_BINS = 15  # of the calibration error, each with as many rows
NUM_RESAMPLES = 500
TAIL_PERCENT = 2.5  # on either side of a 95 % interval


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval by bootstrap over users."""

    low: float
    high: float


def area_under_roc(labels: Floats, scores: Floats) -> float:
    """Return the chance that a random positive scores above a random negative; ties count half.

    Both classes must be present.
    """
    return _area_of_ranks(labels, _ranks(scores), np.ones(len(labels)))


def area_interval(labels: Floats, scores: Floats, users: Ids, seed: int) -> Interval:
    """Return the interval of the area under the ROC curve, `users` being the user of each row."""
    rank_of = _ranks(scores)
    return user_interval(users, lambda counts: _area_of_ranks(labels, rank_of, counts), seed)


def log_loss(labels: Floats, probabilities: Floats) -> float:
    """Return the mean negative log-likelihood in nats; probabilities lie inside (0, 1)."""
    exact = probabilities.astype(np.float64)
    return float(-np.mean(np.where(labels > 0, np.log(exact), np.log1p(-exact))))


def calibration_error(labels: Floats, probabilities: Floats, num_bins: int = NUM_BINS) -> float:
    """Return the mean distance of what was said to what came true, in bins of equal mass.

    Rows are sorted by probability and cut into bins of as many rows each (one more in the first
    ones where that does not divide); a bin's distance is between its mean probability and its
    share of likes.
    """
    order = np.argsort(probabilities, kind="stable")
    gaps = (probabilities.astype(np.float64) - labels)[order]
    bins = np.array_split(gaps, min(num_bins, len(gaps)))
    return float(sum(abs(of_bin.sum()) for of_bin in bins) / len(gaps))


def ndcg_of_one(like_scores: Floats, other_scores_LN: Floats, k: int) -> Floats:
    """Return NDCG@k of lists with one like each (L,): 1 / log2(1 + rank), 0 beyond rank k.

    Of items with the like's score, half stand before it.
    """
    like_L1 = like_scores[:, None]
    rank_L = 1 + (other_scores_LN > like_L1).sum(1) + (other_scores_LN == like_L1).sum(1) / 2
    return np.where(rank_L <= k, 1 / np.log2(1 + rank_L), 0.0)


def user_interval(users: Ids, metric: Callable[[Floats], float], seed: int) -> Interval:
    """Return the interval of a metric that is told how often to count each row.

    Users are drawn, not rows, because rows of one user rise and fall together.
    """
    _, user_of_row = np.unique(users, return_inverse=True)
    num_users = int(user_of_row.max()) + 1
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(NUM_RESAMPLES):
        drawn = np.bincount(generator.integers(num_users, size=num_users), minlength=num_users)
        values.append(metric(drawn[user_of_row].astype(np.float64)))
    low, high = np.nanpercentile(values, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return Interval(float(low), float(high))


def _ranks(scores: Floats) -> Ids:
    """Return the place of each score among the different scores."""
    rank_of: Ids = np.unique(scores, return_inverse=True)[1]
    return rank_of


def _area_of_ranks(labels: Floats, rank_of: Ids, counts: Floats) -> float:
    positives = np.bincount(rank_of, counts * (labels > 0))
    negatives = np.bincount(rank_of, counts * (labels <= 0))
    num_pairs = positives.sum() * negatives.sum()
    if num_pairs == 0:
        return math.nan  # a resample may hold one class only
    below = np.cumsum(negatives) - negatives / 2
    return float(positives @ below / num_pairs)
