"""Logged outcomes of a ranker that over-scores generated items by a known amount."""

import numpy as np

from pigeon_recsys.ranking.calibration import Outcomes
from pigeon_recsys.ranking.calibration_curves import logit, probability


def planted_outcomes(
    num_catalog: int, num_generated: int, *, excess: float, seed: int = 0, slope: float = 1.0
) -> Outcomes:
    """Items of the same true chances; generated ones are scored `excess` log-odds too high.

    All scores are `slope` times as far from even odds as they should be. Fifty items a user.
    """
    rng = np.random.default_rng(seed)
    num = num_catalog + num_generated
    is_generated = np.arange(num) >= num_catalog
    truth = probability(rng.normal(-1.0, 1.0, num))
    scores = probability(slope * logit(truth) + excess * is_generated)
    return Outcomes(
        scores=scores,
        sources=np.where(is_generated, "generated", "catalog").tolist(),
        outcomes=(rng.random(num) < truth).astype(np.float64),
        user_ids=[f"user-{row}" for row in rng.integers(0, max(1, num // 50), num)],
    )
