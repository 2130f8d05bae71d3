import numpy as np
import pytest
from numpy.typing import NDArray

from pigeon_recsys.evaluation.human_study.agreement import (
    coincidences_SVW,
    measure_agreement,
    nominal_alpha,
)
from pigeon_recsys.evaluation.human_study.judgements import Judgements

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers,
# twelve units, five values, data missing.
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def counts_of(observers: tuple[str, ...], values: str) -> NDArray[np.float64]:
    units = zip(*observers, strict=True)
    return np.array([[unit.count(value) for value in values] for unit in units], np.float64)


def alpha_of(counts_SV: NDArray[np.float64]) -> float:
    return float(nominal_alpha(coincidences_SVW(counts_SV).sum(axis=0)))


def test_krippendorffs_own_example_gives_his_alpha() -> None:
    """He prints the coincidences of value 1 as 7, 4/3, 1/3, 1/3, 0 and alpha as 0.743."""
    counts_SV = counts_of(OBSERVERS, "12345")
    coincidences_VW = coincidences_SVW(counts_SV).sum(axis=0)
    assert coincidences_VW[0] == pytest.approx([7, 4 / 3, 1 / 3, 1 / 3, 0])
    assert coincidences_VW.sum() == pytest.approx(40)
    assert alpha_of(counts_SV) == pytest.approx(0.743, abs=5e-4)


def test_his_binary_example_gives_his_alpha() -> None:
    """Section A: two observers, ten units; 6 agree, 4 do not; 14 zeros and 6 ones.

    1 - (20 - 1) · 4 / (14 · 6) = 0.0952, with each disagreement once in either order: o01 = 4.
    """
    counts_SV = counts_of(("0100000000", "1110010100"), "01")
    assert alpha_of(counts_SV) == pytest.approx(1 - 19 * 4 / (14 * 6))
    assert alpha_of(counts_SV) == pytest.approx(0.095, abs=5e-4)


def test_values_that_never_vary_leave_alpha_unknown() -> None:
    assert np.isnan(alpha_of(counts_of(("0000", "0000"), "01")))


def judgements_of(scores: list[list[float | None]]) -> Judgements:
    """Rows are participants, columns pairs of two methods, each about another user."""
    places = [
        (person, pair, score)
        for person, row in enumerate(scores)
        for pair, score in enumerate(row)
        if score is not None
    ]
    person_N, pair_N = (np.array([place[i] for place in places], np.int64) for i in (0, 1))
    score_N = np.array([place[2] for place in places], np.float64)
    zeros_N = np.zeros_like(person_N)
    pair_ids = tuple(f"pair-{pair}" for pair in pair_N)
    return Judgements(
        ("a", "b"), pair_ids, person_N, pair_N, zeros_N, zeros_N + 1, score_N, score_N
    )


def test_full_agreement_is_one_even_where_one_method_always_wins() -> None:
    """Plain alpha is 0/0 here. With both namings: 8 first and 8 second, all on the diagonal."""
    agreement = measure_agreement(judgements_of([[1.0] * 8, [1.0] * 8]), seed=0)
    assert (agreement.alpha, agreement.observed) == (1.0, 1.0)
    assert agreement.interval == (1.0, 1.0)


def test_alpha_does_not_depend_on_which_picture_is_called_the_first() -> None:
    scores: list[list[float | None]] = [
        [1, 0, 0.5, 1, 0, None],
        [1, 1, 0.5, 1, 0, 0],
        [0, 0, 1, 1, 0, 1],
    ]
    one = measure_agreement(judgements_of(scores), seed=0)
    renamed = [[s if s is None or i % 2 else 1 - s for i, s in enumerate(row)] for row in scores]
    other = measure_agreement(judgements_of(renamed), seed=0)
    assert one.alpha == pytest.approx(other.alpha)
    assert one.num_units == 6


def test_full_disagreement_is_below_chance_by_the_small_sample() -> None:
    """Two pairs, two people, never alike: o = 4 off the diagonal, n = 4, 2 of each value.

    Observed disagreement 1; expected 1 - 2·(2·1)/(4·3) = 2/3; alpha = 1 - 3/2.
    """
    agreement = measure_agreement(judgements_of([[1, 0], [0, 1]]), seed=0)
    assert agreement.alpha == pytest.approx(-0.5)
    assert agreement.observed == 0.0


def test_random_people_agree_as_chance_does() -> None:
    rng = np.random.default_rng(1)
    scores = rng.choice([0.0, 0.5, 1.0], size=(10, 200)).tolist()
    agreement = measure_agreement(judgements_of(scores), seed=0)
    assert agreement.alpha == pytest.approx(0, abs=0.03)
    assert agreement.interval is not None
    assert agreement.interval[0] < 0 < agreement.interval[1]


def test_pairs_that_one_person_judged_say_nothing() -> None:
    agreement = measure_agreement(judgements_of([[1, None], [None, 0]]), seed=0)
    assert (agreement.alpha, agreement.observed, agreement.num_units) == (None, None, 0)
