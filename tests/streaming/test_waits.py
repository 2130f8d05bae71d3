"""Waits double up to a limit, however long a store stays away."""

import pytest

from pigeon_recsys.streaming.waits import wait_after


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.1), (1, 0.2), (6, 6.4), (7, 10), (5_000, 10)]
)
def test_a_wait_doubles_up_to_the_limit(failures: int, seconds: float) -> None:
    assert wait_after(failures, first_s=0.1, longest_s=10) == pytest.approx(seconds)
