"""Fit a calibration and say honestly what it changes.

What is said of the scores afterwards comes from calibrations fitted without the users they are
applied to (NUM_FOLDS parts, by a hash of the user id). The calibration that is returned is
fitted on everyone.
"""

from dataclasses import dataclass, replace

import numpy as np

from pigeon_recsys.ranking.calibration import (
    PRIOR_OUTCOMES,
    Calibration,
    Method,
    Outcomes,
    fit_calibration,
)
from pigeon_recsys.ranking.calibration_curves import Floats, logit
from pigeon_recsys.ranking.hashed_uniform import hashed_uniform
from pigeon_recsys.ranking.source_bias import SourceBias, measure_source_bias

NUM_FOLDS = 5
SALT = "pigeon-recsys calibration folds v1"


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One source's weighted means."""

    num_outcomes: int
    outcome_rate: float
    score_before: float
    score_after: float


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration does to users it was not fitted on."""

    before: SourceBias
    after: SourceBias
    log_loss_before: float  # nats an outcome
    log_loss_after: float
    by_source: dict[str, SourceSummary]


def calibrate(
    logged: Outcomes,
    method: Method = "platt",
    *,
    prior_outcomes: float = PRIOR_OUTCOMES,
    seed: int = 0,
) -> tuple[Calibration, CalibrationReport]:
    """Return the calibration of all outcomes, and what such calibrations do to unseen users."""
    before = measure_source_bias(logged, seed=seed)
    unseen = replace(logged, scores=_scores_of_unseen(logged, method, prior_outcomes))
    report = CalibrationReport(
        before=before,
        after=measure_source_bias(unseen, seed=seed),
        log_loss_before=_log_loss(logged),
        log_loss_after=_log_loss(unseen),
        by_source={
            source: _summary(logged.of_source(source), unseen.of_source(source))
            for source in sorted(set(logged.sources))
        },
    )
    return fit_calibration(logged, method, prior_outcomes=prior_outcomes), report


def _scores_of_unseen(logged: Outcomes, method: Method, prior_outcomes: float) -> Floats:
    """Return every row's score, calibrated on the users of the other folds."""
    fold_of = {user: int(hashed_uniform(SALT, user) * NUM_FOLDS) for user in set(logged.user_ids)}
    folds = np.array([fold_of[user] for user in logged.user_ids])
    sources = np.asarray(logged.sources, object)
    scores = np.empty_like(logged.scores)
    for fold in range(NUM_FOLDS):
        calibration = fit_calibration(
            logged.take(folds != fold), method, prior_outcomes=prior_outcomes
        )
        for source in set(logged.sources):
            rows = (folds == fold) & (sources == source)
            scores[rows] = calibration.apply(logged.scores[rows], source)
    return scores


def _log_loss(logged: Outcomes) -> float:
    x = logit(logged.scores)
    return float(np.average(np.logaddexp(0, x) - logged.outcomes * x, weights=logged.weight))


def _summary(before: Outcomes, after: Outcomes) -> SourceSummary:
    weights = before.weight
    return SourceSummary(
        num_outcomes=len(weights),
        outcome_rate=float(np.average(before.outcomes, weights=weights)),
        score_before=float(np.average(before.scores, weights=weights)),
        score_after=float(np.average(after.scores, weights=weights)),
    )
