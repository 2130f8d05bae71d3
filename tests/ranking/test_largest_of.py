"""The chance to be largest, against closed forms and simulation."""

import math

import numpy as np
import pytest

from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearArm, LinearBeliefs, Option

A, B, C = (Option(name, name, (1.0, 0.0)) for name in "abc")
PAIRS = [((0, 0), (0, 0)), ((3, 5), (1, 1)), ((40, 400), (45, 400)), ((90_000, 10_000), (0, 3))]


def beta_chance_of_second(one: tuple[int, int], two: tuple[int, int]) -> float:
    """Closed form for whole counts: Σ_i B(a1 + i, b1 + b2) / ((b2 + i) B(1 + i, b2) B(a1, b1)).

    With prior counts of one; the sum runs over i below a2.
    """
    (a1, b1), (a2, b2) = ((s + 1, f + 1) for s, f in (one, two))

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    return math.fsum(
        math.exp(
            log_beta(a1 + i, b1 + b2) - math.log(b2 + i) - log_beta(1 + i, b2) - log_beta(a1, b1)
        )
        for i in range(a2)
    )


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_two_betas_agree_with_the_closed_form(one: tuple[int, int], two: tuple[int, int]) -> None:
    chance = BetaBeliefs(counts={"a": one, "b": two}).chances_of_best([A, B])
    assert chance[1] == pytest.approx(beta_chance_of_second(one, two), abs=1e-8)
    assert chance.sum() == pytest.approx(1, abs=1e-12)


def test_betas_of_half_a_prior_count_and_of_a_million_outcomes_agree_with_simulation() -> None:
    counts = {"a": (0.0, 0.5), "b": (300_000.0, 700_000.0), "c": (4.0, 9.0)}
    beliefs = BetaBeliefs(0.5, 0.5, counts)
    rng = np.random.default_rng(3)
    drawn = np.stack([rng.beta(s + 0.5, f + 0.5, 200_000) for s, f in counts.values()])
    simulated = np.bincount(drawn.argmax(axis=0), minlength=3) / 200_000
    assert np.abs(beliefs.chances_of_best([A, B, C]) - simulated).max() < 4 * 0.5 / math.sqrt(2e5)


def linear(means: dict[str, float], outcomes: float) -> LinearBeliefs:
    """Beliefs whose mean along the first feature is as stated, after so many outcomes."""
    arms = {
        name: LinearArm(np.diag([outcomes, 0.0]), np.array([mean * (outcomes + 1), 0.0]))
        for name, mean in means.items()
    }
    return LinearBeliefs(2, arms=arms)


@pytest.mark.parametrize("outcomes", [0, 30, 1e9])
def test_two_gaussians_agree_with_the_closed_form(outcomes: float) -> None:
    """P(a above b) = Φ((μa - μb) / √(σa² + σb²)), both σ being noise / √(outcomes + 1)."""
    beliefs = linear({"a": 0.55, "b": 0.5}, outcomes)
    std = 0.5 / math.sqrt(outcomes + 1)
    expected = 0.5 * math.erfc(-0.05 / (std * math.sqrt(2)) / math.sqrt(2))
    assert beliefs.chances_of_best([A, B])[0] == pytest.approx(expected, abs=1e-9)


def test_equal_options_have_equal_chances_and_one_has_all() -> None:
    for beliefs in (BetaBeliefs(), LinearBeliefs(2)):
        assert beliefs.chances_of_best([A]) == pytest.approx([1])
        many = [Option(str(number), str(number), (0.3, 0.1)) for number in range(20)]
        assert beliefs.chances_of_best(many) == pytest.approx([1 / 20] * 20, abs=1e-9)


def test_what_is_certain_is_decided() -> None:
    """Features of zero leave no doubt, and equal expectations."""
    none = [Option(name, name, (0.0, 0.0)) for name in "ab"]
    assert LinearBeliefs(2).chances_of_best(none) == pytest.approx([0.5, 0.5])
    sure = linear({"a": 0.9, "b": 0.1}, 1e14)
    assert sure.chances_of_best([A, B]) == pytest.approx([1, 0], abs=1e-12)
