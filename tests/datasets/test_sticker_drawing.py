"""The sticker artist: deterministic, legible in every factor, and clear about bad input."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.datasets.sticker_drawing import (
    CONTENT_FACTORS,
    FACTORS,
    STYLE_FACTORS,
    Sticker,
    draw_sticker,
)
from pigeon_recsys.errors import SettingsError

PLAIN = Sticker("bear", "sky", "thin", "plain", "happy", "none")


def picture(sticker: Sticker, seed: int = 0, size: int = 72) -> np.ndarray:
    return draw_sticker(sticker, size, np.random.default_rng(seed))


def test_there_are_720_styles_and_64_contents():
    """6 characters * 6 palettes * 4 lines * 5 backgrounds; 8 emotions * 8 props."""
    assert np.prod([len(values) for values in STYLE_FACTORS.values()]) == 720
    assert np.prod([len(values) for values in CONTENT_FACTORS.values()]) == 64


@pytest.mark.parametrize("size", [64, 72, 97])
def test_a_picture_is_a_square_of_the_size_asked_for(size):
    pixels = picture(PLAIN, size=size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8


def test_the_same_generator_state_gives_the_same_bytes():
    assert picture(PLAIN, seed=5).tobytes() == picture(PLAIN, seed=5).tobytes()


def test_another_generator_state_gives_a_slightly_different_picture():
    first, second = picture(PLAIN, seed=5), picture(PLAIN, seed=6)
    difference = np.abs(first.astype(int) - second).mean()
    assert 0 < difference < 30


def test_the_order_of_drawing_does_not_matter():
    """Outlines are cached; painting another sticker in between must leave them alone."""
    before = picture(PLAIN)
    picture(replace(PLAIN, character="ghost", emotion="love", prop="heart", line="border"))
    assert np.array_equal(before, picture(PLAIN))


@pytest.mark.parametrize("factor", FACTORS)
def test_every_two_values_of_a_factor_look_different(factor):
    """With the pose held still, at least 1 % of the pixels differ clearly."""
    pictures = {v: picture(replace(PLAIN, **{factor: v})).astype(int) for v in FACTORS[factor]}
    for one in FACTORS[factor]:
        for other in FACTORS[factor]:
            if one < other:
                clear = np.abs(pictures[one] - pictures[other]).max(axis=2) > 24
                assert clear.mean() > 0.01, (one, other)


def test_an_unknown_value_is_refused_with_the_valid_ones():
    with pytest.raises(SettingsError, match="character 'dog' does not exist.*cat, bear, bunny"):
        replace(PLAIN, character="dog")


def test_too_small_a_size_is_refused():
    with pytest.raises(SettingsError, match="at least 64 pixels, got 63. Use 96"):
        picture(PLAIN, size=63)
