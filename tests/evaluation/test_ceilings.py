"""The truth a little worse: still the same picture, the same for the same case."""

import numpy as np

from pigeon_recsys.evaluation.ceilings import DegradedTruth, TokenRoundTrip, degraded
from pigeon_recsys.evaluation.methods import Case, Method
from pigeon_recsys.records import GenerationTask, Reference

GREY = np.full((20, 20, 3), 120, np.uint8)


def case(target, seed=3):
    task = GenerationTask("u", (), "", Reference("r"), None, seed)
    return Case(task, task, target)


def test_a_degraded_picture_is_a_little_off_and_never_itself():
    """Brightness moves 120 by at most 8 %, 9.6; noise averages out over 1,200 values."""
    worn = degraded(GREY, seed=1)
    assert worn.dtype == np.uint8
    assert not np.array_equal(worn, GREY)
    assert abs(float(worn.mean()) - 120) <= 10
    assert 2 < float(worn.std()) < 6


def test_it_is_shifted_by_one_or_two_pixels():
    """A white dot at (10, 10) has its brightest spot one or two pixels off in both directions."""
    dot = np.zeros((20, 20, 3), np.uint8)
    dot[10, 10] = 255
    for seed in range(8):
        brightest = degraded(dot, seed).sum(axis=2).argmax()
        down, right = (abs(int(place) - 10) for place in np.unravel_index(brightest, (20, 20)))
        assert {down, right} <= {1, 2}


def test_the_same_case_is_degraded_alike_and_a_case_without_target_has_no_picture():
    method = DegradedTruth()
    one, two, none = method.pictures([case(GREY), case(GREY), case(None)])
    assert np.array_equal(one, two)
    assert none is None
    assert isinstance(method, Method)


def test_the_round_trip_asks_the_model_for_the_target_with_the_seed_of_the_case():
    asked = []

    def repaint(pixels, seed):
        asked.append((int(pixels[0, 0, 0]), seed))
        return pixels + 1

    pictures = TokenRoundTrip(repaint).pictures([case(GREY, seed=7), case(None)])
    assert asked == [(120, 7)]
    assert int(pictures[0][0, 0, 0]) == 121
    assert pictures[1] is None
