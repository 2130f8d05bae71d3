"""Draws by hash: fixed, uniform, and independent between salts and parts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.ranking.hashed_uniform import hashed_uniform

CHI_SQUARE_99_9 = 149.4  # of 100 degrees of freedom and fewer


@given(st.text(), st.lists(st.text()))
def test_a_draw_lies_from_zero_to_below_one_and_never_changes(salt: str, parts: list[str]) -> None:
    draw = hashed_uniform(salt, *parts)
    assert 0 <= draw < 1
    assert draw == hashed_uniform(salt, *parts)


def test_a_draw_is_the_same_on_every_machine() -> None:
    """The first 53 bits of sha256(b"4:salt3:ada"), as a share of 2^53."""
    assert hashed_uniform("salt", "ada") == 0.6986286982792458


def test_parts_are_kept_apart() -> None:
    draws = {hashed_uniform(*parts) for parts in (("a", "b", "c"), ("ab", "c"), ("a", "bc"))}
    assert len(draws) == 3


def test_draws_are_uniform_and_those_of_two_salts_independent() -> None:
    """10,000 users over a hundred bins, and over ten by ten bins of two salts."""
    users = [f"user-{number}" for number in range(10_000)]
    one = np.array([hashed_uniform("one", user) for user in users])
    two = np.array([hashed_uniform("two", user) for user in users])
    for counts in (
        np.histogram(one, 100, (0, 1))[0],
        np.histogram2d(one, two, 10, [(0, 1), (0, 1)])[0],
    ):
        assert ((counts - 100) ** 2 / 100).sum() < CHI_SQUARE_99_9
