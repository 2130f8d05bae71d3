"""The split by user."""

from collections import Counter

import pytest

from pigeon_recsys.datasets.split import user_split, users_in

USERS = [f"user-{number}" for number in range(5000)]

RECORDED = {
    "u0": "train",
    "u1": "train",
    "u2": "test",
    "u3": "validation",
    "u5": "validation",
    "u6": "test",
    "é/1": "train",
}


def test_a_users_part_never_changes() -> None:
    """Recorded once: published numbers depend on it."""
    assert [user_split(user_id) for user_id in RECORDED] == list(RECORDED.values())


def test_about_eighty_ten_and_ten_percent() -> None:
    """Of 5000 users 4000, 500 and 500 are expected; four standard deviations are 113 and 85."""
    counts = Counter(map(user_split, USERS))
    assert counts["train"] == pytest.approx(4000, abs=113)
    assert counts["validation"] == pytest.approx(500, abs=85)
    assert counts["test"] == pytest.approx(500, abs=85)


def test_every_user_is_in_exactly_one_part() -> None:
    parts = [users_in(USERS, split) for split in ("train", "validation", "test")]
    assert sorted(user_id for part in parts for user_id in part) == sorted(USERS)


def test_users_in_keeps_the_order() -> None:
    train = users_in(USERS, "train")
    assert list(train) == sorted(train, key=USERS.index)
