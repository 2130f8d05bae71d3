"""Do people agree? Krippendorff's alpha for nominal data.

In:  how many people gave each value to each unit; units and raters may be missing anywhere.
Out: alpha = 1 - observed / expected disagreement: 1 is full agreement, 0 what chance would give.

After Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011). Which picture of a pair
is called the first is arbitrary, so both namings are counted, half each: alpha then does not
depend on it, and chance is a coin between the pictures rather than a taste for one method.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.evaluation.human_study.judgements import (
    Judgements,
    draw_counts_RN,
    interval_of,
)

Floats = NDArray[np.float64]

VALUES = (1.0, 0.5, 0.0)  # first picture, tie, second picture
MIRRORED = (2, 1, 0)  # the same values with the pictures' names exchanged

# Arrays end in their dimensions: S units, V values, W the same values, R resamples.


@dataclass(frozen=True, slots=True)
class Agreement:
    """Alpha and the share of agreeing pairs of people; None where no unit has two raters."""

    alpha: float | None
    interval: tuple[float, float] | None  # 95 %, by bootstrap over users
    observed: float | None
    num_units: int  # pairs that two people or more judged


def coincidences_SVW(counts_SV: Floats) -> Floats:
    """Return each unit's coincidence matrix; its sum is the number of the unit's raters.

    A unit with one rater has nothing to agree about, and counts nothing.
    """
    raters_S = counts_SV.sum(axis=1)
    itself_SVW = counts_SV[:, :, None] * np.eye(counts_SV.shape[1])
    ordered_pairs_SVW = counts_SV[:, :, None] * counts_SV[:, None, :] - itself_SVW
    num_others_S = np.maximum(raters_S - 1, 1)
    by_unit_SVW: Floats = ordered_pairs_SVW / num_others_S[:, None, None]
    return by_unit_SVW


def nominal_alpha(coincidences_VW: Floats) -> Floats:
    """Return alpha for coincidence matrices (…, V, V); NaN where all values are the same."""
    totals_V = coincidences_VW.sum(axis=-1)
    total = totals_V.sum(axis=-1)
    observed = 1 - _ratio(np.trace(coincidences_VW, axis1=-2, axis2=-1), total)
    expected = 1 - _ratio((totals_V * (totals_V - 1)).sum(axis=-1), total * (total - 1))
    return 1 - _ratio(observed, expected)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole; NaN where there is no whole."""
    ratio: Floats = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return ratio


def measure_agreement(judgements: Judgements, *, seed: int) -> Agreement:
    """Return how far people agree on which picture of a pair is better.

    Users are drawn for the interval, not participants: one drawn twice would agree with itself.
    """
    counts_SV, user_S = _counts_by_pair(judgements)
    is_shared_S = counts_SV.sum(axis=1) > 1
    counts_SV, user_S = counts_SV[is_shared_S], user_S[is_shared_S]
    if not len(counts_SV):
        return Agreement(None, None, None, 0)
    one_naming_SVW = coincidences_SVW(counts_SV)
    both_SVW = (one_naming_SVW + one_naming_SVW[:, MIRRORED][:, :, MIRRORED]) / 2
    alpha = float(nominal_alpha(both_SVW.sum(axis=0)))
    weights_RS = draw_counts_RN(user_S, np.random.default_rng(seed))
    resampled_R = nominal_alpha(np.einsum("rs,svw->rvw", weights_RS, both_SVW))
    observed = float(np.trace(both_SVW.sum(axis=0)) / both_SVW.sum())
    has_others = len(np.unique(user_S)) > 1
    return Agreement(
        alpha=alpha if np.isfinite(alpha) else None,
        interval=interval_of(resampled_R) if has_others else None,
        observed=observed,
        num_units=len(counts_SV),
    )


def _counts_by_pair(judgements: Judgements) -> tuple[Floats, NDArray[np.int64]]:
    """Return how often each pair got each value, and the user of each pair."""
    users = dict(zip(judgements.pair_ids, judgements.user_N, strict=True))
    counted = Counter(zip(judgements.pair_ids, judgements.score_N, strict=True))
    rows: Sequence[list[int]] = [[counted[pair, value] for value in VALUES] for pair in users]
    return np.array(rows, np.float64).reshape(-1, len(VALUES)), np.array(list(users.values()))
