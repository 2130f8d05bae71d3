import numpy as np
import pytest

from pigeon_recsys.ranking.context import (
    CONTEXT_NAMES,
    NEVER,
    context_rows,
    request_context,
    without_time,
)
from pigeon_recsys.records import LIKE, History, RankContext

HOUR_MS = 3_600_000
MONDAY_6H = 4 * 24 * HOUR_MS + 6 * HOUR_MS  # 1970-01-05


def row(at_ms: int, last_ms: int = NEVER, num_liked: int = 0) -> dict[str, float]:
    (values,) = context_rows(np.array([at_ms]), np.array([last_ms]), np.array([num_liked]), 4)
    return dict(zip(CONTEXT_NAMES, values.tolist(), strict=True))


def test_six_in_the_morning_is_a_quarter_of_the_circle_and_monday_its_start() -> None:
    found = row(MONDAY_6H)
    assert (found["hour_sin"], found["hour_cos"]) == pytest.approx((1, 0), abs=1e-6)
    assert (found["weekday_sin"], found["weekday_cos"]) == pytest.approx((0, 1), abs=1e-6)


def test_an_hour_before_midnight_is_as_near_as_an_hour_after() -> None:
    before, after = row(23 * HOUR_MS), row(25 * HOUR_MS)
    assert before["hour_cos"] == pytest.approx(after["hour_cos"], abs=1e-6)
    assert before["hour_sin"] == pytest.approx(-after["hour_sin"], abs=1e-6)


def test_recency_falls_from_one_to_zero_and_never_is_zero() -> None:
    at_ms = 20 * 365 * 24 * HOUR_MS
    ages_h = (0, 1, 24, 24 * 365, 24 * 365 * 11)
    found = [row(at_ms, at_ms - age_h * HOUR_MS)["recency"] for age_h in ages_h]
    assert found[0] == 1
    assert found[-1] == 0
    assert sorted(found, reverse=True) == found
    assert row(at_ms)["recency"] == 0


def test_an_event_of_the_future_counts_as_just_now() -> None:
    assert row(1000, last_ms=2000)["recency"] == 1


def test_likes_are_counted_as_a_share_of_the_most() -> None:
    assert row(0, num_liked=3)["liked_share"] == 0.75


def test_without_a_time_only_the_likes_are_known() -> None:
    rows = without_time(context_rows(np.array([5]), np.array([1]), np.array([2]), 4))
    assert rows.tolist() == [[0, 0, 0, 0, 0, 0.5]]


def test_a_request_at_a_known_time_has_the_row_of_that_moment() -> None:
    history = History("u", ("a",), (1000,), (LIKE,))
    known = request_context(RankContext(MONDAY_6H), history, 1, 4)
    expected = context_rows(np.array([MONDAY_6H]), np.array([1000]), np.array([1]), 4)
    np.testing.assert_array_equal(known, expected)
    np.testing.assert_array_equal(request_context(None, history, 1, 4), without_time(expected))
