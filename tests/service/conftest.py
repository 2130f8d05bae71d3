"""A world with two users who like something, and services that are closed after the test."""

from collections.abc import Iterator

import pytest

from pigeon_recsys.service.generations import Generations
from tests.streaming.pipeline import World


@pytest.fixture
def world() -> World:
    made = World()
    for user_id in ("ada", "bob"):
        made.likes(user_id, 1, 2, 3)
    return made


@pytest.fixture
def opened() -> Iterator[list[Generations]]:
    """What a test opens is closed after it."""
    found: list[Generations] = []
    yield found
    for each in found:
        each.close()
