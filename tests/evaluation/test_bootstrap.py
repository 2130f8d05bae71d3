"""Means over users with their intervals."""

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.bootstrap import mean_over_users


def test_a_user_counts_once_however_many_pictures():
    """User a: mean of 1, 1, 1, 1 is 1. User b: 0. Mean over users 0.5, over pictures 0.8."""
    estimate = mean_over_users({"a": [1, 1, 1, 1], "b": [0]}, seed=0)
    assert (estimate.mean, estimate.num_users) == (0.5, 2)


def test_the_interval_of_equal_users_is_a_point():
    estimate = mean_over_users({"a": [0.25], "b": [0.25], "c": [0.25]}, seed=0)
    assert (estimate.low, estimate.high) == (0.25, 0.25)


def test_the_interval_is_the_binomial_one_for_yes_and_no():
    """100 users, half yes: standard error sqrt(0.25 / 100) = 0.05, so about 0.40 to 0.60."""
    estimate = mean_over_users({f"u{n}": [n % 2] for n in range(100)}, seed=0)
    assert estimate.low == pytest.approx(0.40, abs=0.015)
    assert estimate.high == pytest.approx(0.60, abs=0.015)


def test_the_order_of_users_does_not_matter():
    forwards = mean_over_users({"a": [1], "b": [0], "c": [1]}, seed=4)
    backwards = mean_over_users({"c": [1], "b": [0], "a": [1]}, seed=4)
    assert forwards == backwards


def test_no_users_are_refused():
    with pytest.raises(SettingsError, match="at least 1 user, got 0"):
        mean_over_users({}, seed=0)
