"""The Fréchet distance of two sets of pictures, against numbers worked out by hand."""

import numpy as np
import pytest

from pigeon_recsys.evaluation.columns import Column
from pigeon_recsys.evaluation.frechet_distance import FrechetDistance
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.records import GenerationTask, Reference


def grey(value):
    return np.full((4, 4, 3), value, np.uint8)


def brightness(images_BCHW):
    return images_BCHW.float().mean(dim=(1, 2, 3))[:, None]


DISTANCE = FrechetDistance("brightness", brightness, frozenset())


def test_it_is_the_distance_of_two_normal_distributions():
    """10, 14: mean 12, variance 8. 20, 28: mean 24, variance 32. One dimension:
    (12 - 24)² + (√8 - √32)² = 144 + 8 = 152.
    """
    found = DISTANCE.distance([grey(10), grey(14)], [grey(20), grey(28)])
    assert found == pytest.approx(152, abs=1e-3)


def test_a_set_has_no_distance_to_itself():
    assert DISTANCE.distance([grey(10), grey(14)], [grey(14), grey(10)]) == pytest.approx(0)


def test_anchors_of_fewer_than_two_pictures_have_no_column():
    tasks = [GenerationTask("u", (), "", Reference("r"), grey(9 + n), n) for n in range(2)]
    cases = [Case(tasks[0], tasks[0], grey(1)), Case(tasks[1], tasks[1])]
    found = DISTANCE.values(cases, [grey(9), grey(10)])
    assert list(found) == [Column("FID", "reference", "brightness", "lower")]
