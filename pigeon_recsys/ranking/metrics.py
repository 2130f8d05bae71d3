"""How well scores separate likes from the rest, and how honest they are as probabilities."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def area_under_roc(labels: Floats, scores: Floats) -> float:
    """Return the chance that a random positive scores above a random negative; ties count half.

    Both classes must be present.
    """
    _, rank_of, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    is_positive = labels > 0
    num_positive = int(is_positive.sum())
    num_negative = len(labels) - num_positive
    rank_sum = float(mean_rank[rank_of][is_positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)


def log_loss(labels: Floats, probabilities: Floats) -> float:
    """Return the mean negative log-likelihood in nats; probabilities lie inside (0, 1)."""
    exact = probabilities.astype(np.float64)
    return float(-np.mean(np.where(labels > 0, np.log(exact), np.log1p(-exact))))
