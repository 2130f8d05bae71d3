"""Means with intervals, by bootstrap over users.

In:  one number per user (what varies between a user's own pictures is averaged first).
Out: their mean with a 95 % interval. Users are drawn, not pictures, because pictures of one
     user rise and fall together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.errors import SettingsError

NUM_RESAMPLES = 2000
TAIL_PERCENT = 2.5  # on either side of a 95 % interval


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over users and its 95 % interval."""

    mean: float
    low: float
    high: float
    num_users: int


def mean_over_users(values: Mapping[str, Sequence[float]], *, seed: int) -> Estimate:
    """Return the mean of the users' means; `values` holds each user's own numbers."""
    if not values:
        raise SettingsError("a mean over users needs at least 1 user, got 0. Give more records.")
    means_U = np.array([np.mean(values[user]) for user in sorted(values)])
    rng = np.random.default_rng(seed)
    drawn_RU = rng.integers(len(means_U), size=(NUM_RESAMPLES, len(means_U)))
    resampled_R = means_U[drawn_RU].mean(axis=1)
    low, high = np.percentile(resampled_R, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    return Estimate(float(means_U.mean()), float(low), float(high), len(means_U))
