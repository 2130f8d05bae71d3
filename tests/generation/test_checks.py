"""Checks of a picture before it is shown: what is refused, and that the error says why."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.generation.checks import MAX_SIDE, check_safe, check_sound
from pigeon_recsys.records import Generation, Pixels, Vectors
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task


@pytest.fixture
def made() -> Generation:
    (generation,) = FakeGenerator().generate([make_task()])
    return generation


def test_a_generated_picture_is_sound(made: Generation) -> None:
    assert check_sound(made) == "sound"


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((1, MAX_SIDE + 1, 3), np.uint8),
        None,
    ],
)
def test_what_is_no_picture_is_refused(made: Generation, pixels: Pixels) -> None:
    with pytest.raises(GenerationError, match="no RGB picture of at most 4096 pixels a side, but"):
        check_sound(replace(made, pixels=pixels))


def test_a_picture_that_is_not_the_one_signed_is_refused(made: Generation) -> None:
    with pytest.raises(GenerationError, match="not the one its provenance was written for"):
        check_sound(replace(made, pixels=255 - made.pixels))


class Judge:
    """Gives every picture one probability."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def unsafe(self, images: Sequence[Pixels]) -> Vectors:
        return np.full(len(images), self._probability, np.float32)


def test_a_safe_picture_passes(made: Generation) -> None:
    assert check_safe(made.pixels, Judge(0.5)) == "safe"


@pytest.mark.parametrize("probability", [0.51, 1.0, float("nan")])
def test_an_unsafe_picture_and_one_that_cannot_be_judged_are_refused(
    made: Generation, probability: float
) -> None:
    with pytest.raises(GenerationError, match="must not be shown: unsafe with probability"):
        check_safe(made.pixels, Judge(probability))
