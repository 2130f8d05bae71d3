import numpy as np
import pytest

from pigeon_recsys.evaluation.human_study.bradley_terry import log_strengths

NO_PRIOR = 1e-7


def test_two_methods_have_the_odds_of_their_wins() -> None:
    """3 wins against 1: strengths 3 to 1, so logarithms ± ln(3) / 2."""
    wins_MM = np.array([[0.0, 3.0], [1.0, 0.0]])
    expected = np.log(3) / 2
    assert log_strengths(wins_MM, prior_games=NO_PRIOR) == pytest.approx([expected, -expected])


def test_three_methods_in_exact_proportion_are_recovered() -> None:
    """Strengths 4 : 2 : 1; of 60 games, i beats j in 60·i/(i+j): 40 of 60, 48 of 60, 40 of 60."""
    wins_MM = np.array([[0, 40, 48], [20, 0, 40], [12, 20, 0]], np.float64)
    logs_M = log_strengths(wins_MM, prior_games=NO_PRIOR)
    assert logs_M == pytest.approx([np.log(2), 0, -np.log(2)], abs=1e-5)


def test_planted_strengths_are_recovered_from_chance_games() -> None:
    planted_M = np.array([1.2, 0.5, 0.0, -0.6, -1.1])
    rng = np.random.default_rng(0)
    wins_MM = np.zeros((5, 5))
    for one in range(5):
        for other in range(one + 1, 5):
            chance = 1 / (1 + np.exp(planted_M[other] - planted_M[one]))
            wins_MM[one, other] = rng.binomial(400, chance)
            wins_MM[other, one] = 400 - wins_MM[one, other]
    assert log_strengths(wins_MM) == pytest.approx(planted_M - planted_M.mean(), abs=0.12)


def test_a_method_that_never_loses_stays_finite_and_first() -> None:
    wins_MM = np.array([[0, 5, 5], [0, 0, 3], [0, 2, 0]], np.float64)
    logs_M = log_strengths(wins_MM)
    assert np.isfinite(logs_M).all()
    assert logs_M.argmax() == 0


def test_methods_that_never_met_are_all_average() -> None:
    assert log_strengths(np.zeros((3, 3))) == pytest.approx([0, 0, 0])


def test_a_batch_gives_what_each_gives_alone() -> None:
    wins_BMM = np.random.default_rng(2).integers(0, 20, size=(4, 3, 3)).astype(np.float64)
    wins_BMM[:, range(3), range(3)] = 0
    batch_BM = log_strengths(wins_BMM)
    for wins_MM, logs_M in zip(wins_BMM, batch_BM, strict=True):
        assert log_strengths(wins_MM) == pytest.approx(logs_M, abs=1e-4)
