"""What is believed of each arm's reward, learned from outcomes: Beta counts, or a linear model.

An arm is what outcomes are gathered under; options that share an arm share its model. Rewards
lie from 0 to 1. Beliefs never change: an update returns new ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.largest_of import Floats, chances_of_being_largest

# K options, D features, P panels, Q nodes

LEAST_STD = 1e-6  # of a reward; below it an option is as good as certain
EDGES_OUTWARD = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.5, 7.5)  # standard deviations
EDGES_OF_TAIL = (10.0, 14.0, 19.0, 25.0, 32.0)  # of a Beta's log-odds, which fall off slowly


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that may be chosen."""

    name: str  # e.g. an item id
    arm: str  # what its outcomes are gathered under
    features: tuple[float, ...] = ()  # read by linear beliefs


class Beliefs(Protocol):
    """What a policy asks of beliefs."""

    def estimates(self, options: Sequence[Option]) -> tuple[Floats, Floats]:
        """Return each option's expected reward and its standard deviation, (K,) and (K,)."""

    def chances_of_best(self, options: Sequence[Option]) -> Floats:
        """Return each option's chance that a draw of its reward is the largest, (K,)."""

    def updated(self, option: Option, reward: float) -> "Beliefs":
        """Return what is believed after one more outcome."""


@dataclass(frozen=True)
class BetaBeliefs:
    """An arm's rate of reward, whatever the context: a Beta distribution."""

    prior_successes: float = 1.0
    prior_failures: float = 1.0
    counts: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # reward, its rest

    def __post_init__(self) -> None:
        for name in ("prior_successes", "prior_failures"):
            value = getattr(self, name)
            if not 0.5 <= value < math.inf:
                raise SettingsError(f"beliefs.{name} must be 0.5 or more, got {value}")
        for arm, counts in self.counts.items():
            if not (len(counts) == 2 and all(0 <= count < math.inf for count in counts)):
                raise SettingsError(
                    f"beliefs.counts.{arm} must be two finite counts from 0 on, got {counts}"
                )

    def estimates(self, options: Sequence[Option]) -> tuple[Floats, Floats]:
        """Return each option's expected reward and its standard deviation."""
        a_K, b_K = self._parameters(options)
        mean_K = a_K / (a_K + b_K)
        return mean_K, np.sqrt(mean_K * (1 - mean_K) / (a_K + b_K + 1))

    def chances_of_best(self, options: Sequence[Option]) -> Floats:
        """Return each option's chance to be best, the draws being independent.

        Integrated over log-odds, where a Beta is smooth: density x^a (1 - x)^b / B(a, b).
        """
        a_K, b_K = self._parameters(options)
        log_beta_K = np.array([_log_beta(a, b) for a, b in zip(a_K, b_K, strict=True)])

        def densities(t_PQ: Floats) -> Floats:
            a, b, log_beta = (values[:, None, None] for values in (a_K, b_K, log_beta_K))
            log_x, log_rest = -np.logaddexp(0, -t_PQ), -np.logaddexp(0, t_PQ)
            return np.asarray(np.exp(a * log_x + b * log_rest - log_beta))

        spread_K = np.sqrt(1 / a_K + 1 / a_K**2 + 1 / b_K + 1 / b_K**2)
        edges = _edges(np.log(a_K / b_K), spread_K, (*EDGES_OUTWARD, *EDGES_OF_TAIL))
        return chances_of_being_largest(densities, edges)

    def updated(self, option: Option, reward: float) -> "BetaBeliefs":
        """Return what is believed after one more outcome."""
        _check_reward(option, reward)
        successes, failures = self.counts.get(option.arm, (0.0, 0.0))
        counts = {**self.counts, option.arm: (successes + reward, failures + 1 - reward)}
        return replace(self, counts=counts)

    def _parameters(self, options: Sequence[Option]) -> tuple[Floats, Floats]:
        counts_K2 = np.array([self.counts.get(option.arm, (0.0, 0.0)) for option in options])
        return counts_K2[:, 0] + self.prior_successes, counts_K2[:, 1] + self.prior_failures


@dataclass(frozen=True, eq=False)
class LinearArm:
    """Sums over an arm's outcomes: of features times features, and of features times reward."""

    squares_DD: Floats
    moments_D: Floats


@dataclass(frozen=True)
class LinearBeliefs:
    """An arm's reward as a linear function of the features: Bayesian ridge regression.

    The weights are Gaussian with precision `ridge`, a reward strays by `noise` around the line.
    """

    num_features: int
    ridge: float = 1.0
    noise: float = 0.5  # the most a reward between 0 and 1 can stray
    arms: Mapping[str, LinearArm] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_features < 1:
            raise SettingsError(f"beliefs.num_features must be 1 or more, got {self.num_features}")
        for name in ("ridge", "noise"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"beliefs.{name} must be above 0, got {getattr(self, name)}")

    def estimates(self, options: Sequence[Option]) -> tuple[Floats, Floats]:
        """Return each option's expected reward and its standard deviation."""
        found = [self._estimate(option) for option in options]
        mean_K, std_K = (np.array(values) for values in zip(*found, strict=True))
        return mean_K, std_K

    def chances_of_best(self, options: Sequence[Option]) -> Floats:
        """Return each option's chance to be best, drawing each option's reward independently.

        Options that share an arm are drawn independently as well, though their rewards go
        together: a policy as good, whose chances are one integral.
        """
        mean_K, std_K = self.estimates(options)
        std_K = np.maximum(std_K, LEAST_STD)

        def densities(t_PQ: Floats) -> Floats:
            z_KPQ = (t_PQ - mean_K[:, None, None]) / std_K[:, None, None]
            scale = std_K[:, None, None] * math.sqrt(2 * math.pi)
            return np.asarray(np.exp(-0.5 * z_KPQ**2) / scale)

        return chances_of_being_largest(densities, _edges(mean_K, std_K, EDGES_OUTWARD))

    def updated(self, option: Option, reward: float) -> "LinearBeliefs":
        """Return what is believed after one more outcome."""
        _check_reward(option, reward)
        x_D, arm = self._features(option), self._arm(option)
        learned = LinearArm(arm.squares_DD + np.outer(x_D, x_D), arm.moments_D + reward * x_D)
        return replace(self, arms={**self.arms, option.arm: learned})

    def _estimate(self, option: Option) -> tuple[float, float]:
        x_D, arm = self._features(option), self._arm(option)
        precision_DD = arm.squares_DD + self.ridge * np.eye(self.num_features)
        solved_D = np.linalg.solve(precision_DD, x_D)
        variance = max(0.0, float(x_D @ solved_D))
        return float(arm.moments_D @ solved_D), self.noise * math.sqrt(variance)

    def _arm(self, option: Option) -> LinearArm:
        size = self.num_features
        return self.arms.get(option.arm) or LinearArm(np.zeros((size, size)), np.zeros(size))

    def _features(self, option: Option) -> Floats:
        x_D = np.array(option.features, np.float64)
        if x_D.shape != (self.num_features,) or not np.isfinite(x_D).all():
            raise SettingsError(
                f"option {option.name!r} must have {self.num_features} finite features, got "
                f"{list(option.features)}"
            )
        return x_D


def _edges(centre_K: Floats, spread_K: Floats, outward: tuple[float, ...]) -> Floats:
    offsets = np.array(outward)
    steps = np.concatenate([-offsets[::-1], offsets])
    return np.asarray(centre_K[:, None] + spread_K[:, None] * steps)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _check_reward(option: Option, reward: float) -> None:
    if not 0 <= reward <= 1:
        raise SettingsError(
            f"the reward of option {option.name!r} must be from 0 to 1, got {reward}"
        )
