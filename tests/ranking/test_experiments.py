"""Experiment buckets: the same for a user at any time, of the stated shares."""

from collections import Counter

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.experiments import Experiment

USERS = [f"user-{number}" for number in range(6000)]


def test_a_user_stays_in_one_bucket() -> None:
    experiment = Experiment("autumn", {"control": 0.5, "slot": 0.5})
    assert [experiment.bucket(user) for user in USERS] == [
        experiment.bucket(user) for user in USERS
    ]


def test_buckets_have_the_stated_shares() -> None:
    """Chi-square of 2 degrees of freedom: 13.8 at 99.9 %."""
    shares = {"control": 0.5, "off": 0.0, "slot": 0.3, "bold": 0.2}
    counts = Counter(Experiment("autumn", shares).bucket(user) for user in USERS)
    assert "off" not in counts
    expected = {bucket: share * len(USERS) for bucket, share in shares.items() if share}
    assert sum((counts[b] - n) ** 2 / n for b, n in expected.items()) < 13.8


def test_experiments_of_different_salts_are_independent() -> None:
    """A quarter of the users in each pair of buckets; 3 degrees of freedom: 16.3 at 99.9 %."""
    halves = {"a": 0.5, "b": 0.5}
    one, two = Experiment("one", halves), Experiment("two", halves)
    counts = Counter((one.bucket(user), two.bucket(user)) for user in USERS)
    expected = len(USERS) / 4
    assert len(counts) == 4
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 16.3


def test_a_bucket_that_grows_at_its_neighbours_cost_moves_no_other_user() -> None:
    before = Experiment("s", {"slot": 0.1, "rest": 0.6, "control": 0.3})
    after = Experiment("s", {"slot": 0.2, "rest": 0.5, "control": 0.3})
    moved = {(before.bucket(u), after.bucket(u)) for u in USERS}
    assert moved == {("slot", "slot"), ("rest", "slot"), ("rest", "rest"), ("control", "control")}


def test_shares_that_round_to_less_than_one_still_hold_everyone() -> None:
    tenths = Experiment("s", {str(n): 0.1 for n in range(10)})
    assert {tenths.bucket(user) for user in USERS} == {str(n) for n in range(10)}


@pytest.mark.parametrize(
    ("salt", "shares", "message"),
    [
        ("", {"a": 1.0}, r"experiment\.salt must not be empty"),
        ("s", {"a": 0.5, "b": 0.4}, r"experiment\.shares must sum to 1, got 0\.9"),
        ("s", {"a": 1.5, "b": -0.5}, r"shares\.a must be a share .* 1\.5; .*shares\.b .* -0\.5"),
        ("s", {"a": float("nan")}, r"experiment\.shares\.a must be a share from 0 to 1, got nan"),
        ("s", {}, r"experiment\.shares must sum to 1, got 0"),
    ],
)
def test_an_experiment_that_cannot_work_is_refused(
    salt: str, shares: dict[str, float], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        Experiment(salt, shares)
