"""The two curves of a calibration and how they are fitted: Platt's and isotonic regression's.

Both map a probability to a probability, by way of the logit, and never downwards. Both are
fitted by weighted outcomes that may lie between 0 and 1.
"""

from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

Floats = NDArray[np.float64]

LEAST = 1e-6  # scores nearer to 0 or 1 than this are moved to it; finite logits need that
LEAST_SLOPE = 0.05  # of Platt's line: a ranker whose scores say nothing keeps its order
OUTCOMES_PER_BIN = 20  # of an isotonic curve: fewer that all came out alike would say never
NUM_STEPS = 50  # of Newton's method; five are common
CONVERGED = 1e-10


class Curve(Protocol):
    """A calibration curve."""

    def __call__(self, scores: Floats) -> Floats:
        """Return calibrated probabilities."""

    def to_json(self) -> dict[str, object]:
        """Return a JSON-serializable form."""


@dataclass(frozen=True)
class PlattCurve:
    """A straight line from logit to logit: two numbers, so few outcomes will do."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"a slope must be above 0, got {self.slope}")

    def __call__(self, scores: Floats) -> Floats:
        """Return calibrated probabilities."""
        return probability(self.slope * logit(scores) + self.intercept)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-serializable form."""
        return asdict(self)


@dataclass(frozen=True)
class IsotonicCurve:
    """A rising line through points, from logit to logit; beyond them it goes on at slope 1."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    score_logits: tuple[float, ...]
    outcome_logits: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.score_logits or len(self.score_logits) != len(self.outcome_logits):
            raise ValueError("an isotonic curve needs as many outcomes as scores, one or more")
        if (np.diff(self.score_logits) <= 0).any() or (np.diff(self.outcome_logits) < 0).any():
            raise ValueError("the points of an isotonic curve must rise")

    def __call__(self, scores: Floats) -> Floats:
        """Return calibrated probabilities."""
        x = logit(scores)
        beyond = x - np.clip(x, self.score_logits[0], self.score_logits[-1])
        return probability(np.interp(x, self.score_logits, self.outcome_logits) + beyond)

    def to_json(self) -> dict[str, object]:
        """Return a JSON-serializable form."""
        return {name: list(values) for name, values in asdict(self).items()}


def curve_from_json(kind: type[PlattCurve] | type[IsotonicCurve], fields: object) -> Curve:
    """Read what a curve's `to_json` wrote. Raises `ValueError` for anything else."""
    try:
        curve: Curve = TypeAdapter(kind).validate_python(fields)
    except ValidationError as exc:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors()]
        raise ValueError("; ".join(faults)) from exc
    return curve


def fit_platt(scores: Floats, outcomes: Floats, weights: Floats) -> PlattCurve:
    """Return the line with the highest likelihood, by Newton's method."""
    x = logit(scores)
    line = np.array([1.0, 0.0])  # slope, intercept
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    loss = _loss(inputs @ line, outcomes, weights)
    for _ in range(NUM_STEPS):
        expected = probability(inputs @ line)
        gradient = inputs.T @ (weights * (expected - outcomes))
        curvature = (inputs.T * (weights * expected * (1 - expected))) @ inputs
        step = np.linalg.solve(curvature + CONVERGED * np.eye(2), gradient)
        while (new_loss := _loss(inputs @ (line - step), outcomes, weights)) > loss:
            step = step / 2  # ends: rounding makes both losses equal at last
        line, loss = line - step, new_loss
        if np.abs(step).max() < CONVERGED:
            break
    slope = max(float(line[0]), LEAST_SLOPE)
    if slope == line[0]:
        return PlattCurve(slope, float(line[1]))
    return PlattCurve(slope, _fit_intercept(slope * x, outcomes, weights))


def fit_isotonic(scores: Floats, outcomes: Floats, weights: Floats) -> IsotonicCurve:
    """Return the rising curve of least squared error over bins: pool adjacent violators.

    A bin holds `OUTCOMES_PER_BIN` or more of neighbouring scores, or all there are.
    """
    x = logit(scores)
    row_bin = _bins(x, weights)
    weight_of = np.bincount(row_bin, weights).astype(np.float64)
    x_of = np.bincount(row_bin, weights * x) / weight_of
    outcome_of = np.bincount(row_bin, weights * outcomes) / weight_of
    blocks = pool_adjacent_violators(x_of, outcome_of, weight_of)
    return IsotonicCurve(
        tuple(block[0] for block in blocks),
        tuple(logit(np.array([block[1] for block in blocks])).tolist()),
    )


def _bins(x: Floats, weights: Floats) -> NDArray[np.intp]:
    """Return the bin of each row; equal values share one, and none is left empty."""
    _, row_level = np.unique(x, return_inverse=True)
    weight_of_level = np.bincount(row_level, weights)
    middles = np.cumsum(weight_of_level) - weight_of_level / 2
    num_bins = max(1.0, np.floor(weight_of_level.sum() / OUTCOMES_PER_BIN))
    level_bin = np.floor(middles / weight_of_level.sum() * num_bins)
    _, row_bin = np.unique(level_bin[row_level], return_inverse=True)
    return row_bin


def pool_adjacent_violators(
    xs: Floats, values: Floats, weights: Floats
) -> list[tuple[float, float, float]]:
    """Return blocks of mean x, rising mean value and weight, from rising xs."""
    blocks: list[tuple[float, float, float]] = []
    for x, value, weight in zip(xs.tolist(), values.tolist(), weights.tolist(), strict=True):
        block = (x, value, weight)
        while blocks and blocks[-1][1] >= block[1]:
            block = _pooled(blocks.pop(), block)
        blocks.append(block)
    return blocks


def _pooled(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> tuple[float, float, float]:
    weight = one[2] + other[2]
    share = one[2] / weight
    x = one[0] * share + other[0] * (1 - share)
    return x, one[1] * share + other[1] * (1 - share), weight


def logit(probabilities: Floats) -> Floats:
    """Return log-odds; probabilities nearer to 0 or 1 than `LEAST` count as that near."""
    inside = np.clip(probabilities, LEAST, 1 - LEAST)
    log_odds: Floats = np.log(inside) - np.log1p(-inside)
    return log_odds


def probability(logits: Floats) -> Floats:
    """Return probabilities, each at least `LEAST` away from 0 and 1."""
    return np.clip(1 / (1 + np.exp(-np.clip(logits, -50, 50))), LEAST, 1 - LEAST)


def _loss(logits: Floats, outcomes: Floats, weights: Floats) -> float:
    return float((weights * (np.logaddexp(0, logits) - outcomes * logits)).sum())


def _fit_intercept(logits: Floats, outcomes: Floats, weights: Floats) -> float:
    """Return the shift at which as much is expected as came out, by bisection."""
    low, high = -100.0, 100.0
    wanted = float((weights * outcomes).sum())
    while high - low > CONVERGED:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        is_too_little = float((weights * probability(logits + middle)).sum()) < wanted
        low, high = (middle, high) if is_too_little else (low, middle)
    return (low + high) / 2
