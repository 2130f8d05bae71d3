"""Rank methods by the Bradley-Terry model: i is preferred to j with odds strength_i / strength_j.

In:  how often each method beat each other; a tie is half a win for both.
Out: natural logarithms of the strengths, their mean zero. A difference d means odds of e^d.

A method that never lost would get an infinite strength, so every method also has `PRIOR_GAMES`
imagined games, half of them won, against an imagined method of average strength. With them the
likelihood has one maximum, found by Newton's method. The usual minorization-maximization
(Hunter, "MM algorithms for generalized Bradley-Terry models", 2004) leads to the same place, and
needs hundreds of rounds where a method hardly loses, as in many bootstrap resamples.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PRIOR_GAMES = 1.0  # enough to keep every estimate finite, too little to be felt
MAX_ROUNDS = 200
MAX_STEP = 1.0  # of a logarithm in a round; a longer step can leave the maximum behind
TOLERANCE = 1e-9  # of a logarithm, between two rounds

# Any batch dimensions come first, then M methods.


def log_strengths(wins_MM: Floats, *, prior_games: float = PRIOR_GAMES) -> Floats:
    """Return log strengths (…, M) for wins (…, M, M) of the row's method over the column's."""
    games_MM = wins_MM + np.swapaxes(wins_MM, -1, -2)
    won_M = wins_MM.sum(axis=-1) + prior_games / 2
    logs_M = np.zeros_like(won_M)
    for _ in range(MAX_ROUNDS):
        step_M = _newton_step(logs_M, won_M, games_MM, prior_games)
        logs_M += np.clip(step_M, -MAX_STEP, MAX_STEP)
        if np.abs(step_M).max(initial=0.0) < TOLERANCE:
            break
    centred_M: Floats = logs_M - logs_M.mean(axis=-1, keepdims=True)
    return centred_M


def _newton_step(logs_M: Floats, won_M: Floats, games_MM: Floats, prior_games: float) -> Floats:
    """Return inverse curvature times gradient of the log-likelihood."""
    chance_MM = _logistic(logs_M[..., :, None] - logs_M[..., None, :])
    chance_M = _logistic(logs_M)  # against the imagined method
    gradient_M = won_M - (games_MM * chance_MM).sum(axis=-1) - prior_games * chance_M
    between_MM = games_MM * chance_MM * (1 - chance_MM)
    own_M = between_MM.sum(axis=-1) + prior_games * chance_M * (1 - chance_M)
    curvature_MM = own_M[..., None] * np.eye(own_M.shape[-1]) - between_MM
    step_M: Floats = np.linalg.solve(curvature_MM, gradient_M[..., None])[..., 0]
    return step_M


def _logistic(log_odds: Floats) -> Floats:
    chance: Floats = 1 / (1 + np.exp(-log_odds))
    return chance
