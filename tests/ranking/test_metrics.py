import math

import numpy as np
import pytest

from pigeon_recsys.ranking.metrics import (
    area_interval,
    area_under_roc,
    calibration_error,
    log_loss,
    ndcg_of_one,
    user_interval,
)


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    """Positives 0.9 and 0.4, negatives 0.5 and 0.1: three of four pairs are in order."""
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.5, 0.1])
    assert area_under_roc(labels, scores) == pytest.approx(0.75)


def test_a_tie_counts_half() -> None:
    assert area_under_roc(np.array([1, 0]), np.array([0.5, 0.5])) == pytest.approx(0.5)


def test_log_loss_is_the_mean_of_the_negative_logarithms() -> None:
    """-ln 0.8 for the like, -ln(1 - 0.25) for the other."""
    found = log_loss(np.array([1, 0]), np.array([0.8, 0.25]))
    assert found == pytest.approx(-(math.log(0.8) + math.log(0.75)) / 2)


def test_calibration_error_is_the_mean_gap_of_bins_of_equal_mass() -> None:
    """Bins (0.1, 0.3 with one like) and (0.6, 0.8 with one): gaps 0.3 and 0.2, mean 0.25."""
    labels, said = np.array([1, 0, 1, 0]), np.array([0.3, 0.8, 0.6, 0.1])
    assert calibration_error(labels, said, num_bins=2) == pytest.approx(0.25)


def test_a_perfectly_honest_ranker_has_no_calibration_error() -> None:
    assert calibration_error(np.array([1, 0, 0, 0]), np.full(4, 0.25), num_bins=1) == 0


def test_calibration_error_of_fewer_rows_than_bins_takes_each_alone() -> None:
    assert calibration_error(np.array([1, 0]), np.array([0.9, 0.1])) == pytest.approx(0.1)


def test_ndcg_of_one_like_follows_from_its_rank() -> None:
    """Ranks 1, 3 and 4 of lists of four: 1 / log2(2), 1 / log2(4), and 0 beyond 3."""
    others = np.array([[0.1, 0.2, 0.3], [0.8, 0.9, 0.1], [0.8, 0.9, 0.7]])
    found = ndcg_of_one(np.array([0.5, 0.5, 0.5]), others, k=3)
    assert found.tolist() == [1, 0.5, 0]


def test_half_of_equal_scores_stand_before_the_like() -> None:
    """Two of two others are equal: rank 2."""
    (found,) = ndcg_of_one(np.array([0.5]), np.array([[0.5, 0.5]]), k=10)
    assert found == pytest.approx(1 / math.log2(3))


def test_an_interval_draws_users_and_not_rows() -> None:
    """Two users of 500 equal rows each: a mean is 0, 0.5 or 1, however many rows there are."""
    users, values = np.repeat([3, 8], 500), np.repeat([0.0, 1.0], 500)
    found = user_interval(users, lambda counts: float(np.average(values, weights=counts)), 0)
    assert (found.low, found.high) == (0, 1)


def test_the_areas_interval_leaves_out_draws_of_one_class() -> None:
    """User 0 has likes only: drawn alone it has no area; user 1 ranks both in order."""
    labels, scores = np.array([1, 1, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    found = area_interval(labels, scores, np.array([0, 0, 1, 1]), seed=0)
    assert (found.low, found.high) == (1, 1)
