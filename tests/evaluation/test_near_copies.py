"""Near copies: by pixels, so that no scorer can hide one."""

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.datasets.sticker_drawing import Sticker, draw_sticker
from pigeon_recsys.evaluation.near_copies import is_near_copy, nearest_distance, thumbnails

HAPPY = Sticker("cat", "mint", "bold", "dots", "happy", "star")
SAD = Sticker("cat", "mint", "bold", "dots", "sad", "gift")


def grey(value, side=40):
    return np.full((side, side, 3), value, np.uint8)


def test_the_distance_is_the_root_mean_square_of_the_nearest():
    """10 against 13 and 40: the nearest differs by 3 everywhere."""
    made, known = thumbnails([grey(10)]), thumbnails([grey(40), grey(13)])
    assert nearest_distance(made, known) == pytest.approx([3.0], abs=1e-3)


def test_a_resized_picture_is_a_near_copy_and_another_mood_is_not():
    picture = draw_sticker(HAPPY, 96, np.random.default_rng(0))
    small = np.asarray(Image.fromarray(picture).resize((72, 72), Image.Resampling.LANCZOS))
    other = draw_sticker(SAD, 96, np.random.default_rng(0))
    assert is_near_copy(thumbnails([small, other]), thumbnails([picture])) == [1.0, 0.0]


def test_nothing_is_a_copy_of_nothing():
    assert is_near_copy(thumbnails([grey(1)]), thumbnails([])) == [0.0]
