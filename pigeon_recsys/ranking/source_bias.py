"""The source-bias gap: how much higher a ranker puts generated items than it may.

- score gap: E[score - outcome | generated] - E[score - outcome | catalog]. What generated items
  are promised beyond what they keep, over and above what the catalog is.
- rank gap: generated items are parted into bins by score. A bin is compared with the catalog
  score at which catalog items are liked as often (isotonic regression over bins), and both scores
  are looked up among all catalog scores. The mean difference is the share of the catalog that
  generated items overtake unduly: 0.1 is ten places among a hundred.

Both are 0 for calibrated scores, and positive where generated items are favoured. Intervals are
95 %, by bootstrap over users.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.calibration import Outcomes
from pigeon_recsys.ranking.calibration_curves import Floats, pool_adjacent_violators

# U users, S sources (catalog, generated), B bins, R resamples

CATALOG = "catalog"
GENERATED = "generated"
NUM_BINS = 10  # of each source's scores, by quantile
NUM_RESAMPLES = 500
RESAMPLES_AT_ONCE = 50  # bounds memory where users are many
TAIL_PERCENT = 2.5


@dataclass(frozen=True, slots=True)
class GapEstimate:
    """A gap and its 95 % interval."""

    gap: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SourceBias:
    """Both gaps of generated items against the catalog."""

    score: GapEstimate
    rank: GapEstimate
    num_catalog: int
    num_generated: int


def measure_source_bias(logged: Outcomes, *, seed: int) -> SourceBias:
    """Return the gaps. Raises `SettingsError` unless both sources have outcomes."""
    sources = np.asarray(logged.sources, object)
    counts = {name: int((sources == name).sum()) for name in (CATALOG, GENERATED)}
    if not all(counts.values()):
        raise SettingsError(
            f"the source-bias gap needs outcomes of {CATALOG!r} and {GENERATED!r}, got "
            f"{counts[CATALOG]} and {counts[GENERATED]} among the sources "
            f"{sorted(set(logged.sources))}."
        )
    sums_U3SB = _sums(logged, sources)
    total = sums_U3SB.sum(axis=0)
    resampled = [
        gaps
        for weights_RU in _resamples(len(sums_U3SB), seed)
        for sums_3SB in np.tensordot(weights_RU, sums_U3SB, axes=1)
        if (gaps := _gaps(sums_3SB)) is not None
    ]
    point = _gaps(total)
    assert point is not None
    lows, highs = np.percentile([*resampled, point], [TAIL_PERCENT, 100 - TAIL_PERCENT], axis=0)
    score, rank = (GapEstimate(*map(float, row)) for row in zip(point, lows, highs, strict=True))
    return SourceBias(score, rank, counts[CATALOG], counts[GENERATED])


def _sums(logged: Outcomes, sources: "np.typing.NDArray[np.object_]") -> Floats:
    """Return each user's sums of weight, weighted score and weighted outcome, (U, 3, S, B)."""
    users, user_rows = np.unique(np.asarray(logged.user_ids, str), return_inverse=True)
    sums_U3SB = np.zeros((len(users), 3, 2, NUM_BINS))
    for row_S, name in enumerate((CATALOG, GENERATED)):
        rows = np.flatnonzero(sources == name)
        scores, outcomes, weight = (
            column[rows] for column in (logged.scores, logged.outcomes, logged.weight)
        )
        edges = np.quantile(scores, np.arange(1, NUM_BINS) / NUM_BINS)
        bins = np.searchsorted(edges, scores, side="left")
        for row_3, values in enumerate((weight, weight * scores, weight * outcomes)):
            np.add.at(sums_U3SB[:, row_3, row_S], (user_rows[rows], bins), values)
    return sums_U3SB


def _resamples(num_users: int, seed: int) -> Iterator[Floats]:
    """Yield how often each user is drawn, (R, U)."""
    rng = np.random.default_rng(seed)
    share = np.full(num_users, 1 / num_users)
    for _ in range(NUM_RESAMPLES // RESAMPLES_AT_ONCE):
        drawn_RU = rng.multinomial(num_users, share, size=RESAMPLES_AT_ONCE)
        yield drawn_RU.astype(np.float64)


def _gaps(sums_3SB: Floats) -> tuple[float, float] | None:
    """Return score gap and rank gap; None where a resample drew no item of a source."""
    weight_S, score_S, outcome_S = sums_3SB.sum(axis=2)
    if (weight_S == 0).any():
        return None
    excess_S = (score_S - outcome_S) / weight_S
    return float(excess_S[1] - excess_S[0]), _rank_gap(sums_3SB[:, 0], sums_3SB[:, 1])


def _rank_gap(catalog_3B: Floats, generated_3B: Floats) -> float:
    """Return the mean share of the catalog that generated items stand too high by."""
    weight, scores, rates = _bin_means(catalog_3B)
    shares = (np.cumsum(weight) - weight / 2) / weight.sum()  # of the catalog below each bin
    blocks = pool_adjacent_violators(scores, rates, weight)
    as_often = np.array([block[1] for block in blocks])
    at_score = np.array([block[0] for block in blocks])
    weight_g, scores_g, rates_g = _bin_means(generated_3B)
    fair_scores = np.interp(rates_g, as_often, at_score)
    overtaken = np.interp(scores_g, scores, shares) - np.interp(fair_scores, scores, shares)
    return float((weight_g * overtaken).sum() / weight_g.sum())


def _bin_means(sums_3B: Floats) -> tuple[Floats, Floats, Floats]:
    """Return weight, mean score and outcome rate of the bins that are not empty."""
    weight, score, outcome = sums_3B[:, sums_3B[0] > 0]
    return weight, score / weight, outcome / weight
