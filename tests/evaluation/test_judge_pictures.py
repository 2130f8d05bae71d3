"""What the judge learns from: its own stickers, and wear that leaves them legible."""

import numpy as np

from pigeon_recsys.datasets.world import random_stream
from pigeon_recsys.evaluation.judge_pictures import draw_examples, judge_stream, worn


def test_examples_have_the_size_asked_for_and_vary():
    stickers, pictures = draw_examples(12, 72, judge_stream(0))
    assert {picture.shape for picture in pictures} == {(72, 72, 3)}
    assert len(set(stickers)) > 8


def test_the_judge_never_meets_the_random_numbers_of_a_world():
    worlds = {int(random_stream(seed, 0).integers(2**62)) for seed in range(50)}
    judges = {int(judge_stream(seed, 0).integers(2**62)) for seed in range(50)}
    assert not worlds & judges


def test_the_same_generator_state_wears_a_picture_alike():
    _, (picture,) = draw_examples(1, 72, judge_stream(0))
    first, second = worn(picture, judge_stream(1)), worn(picture, judge_stream(1))
    assert np.array_equal(first, second)


def test_wear_changes_a_picture_and_keeps_its_colours():
    """Over 20 draws: always the same shape, hardly ever untouched, the mean colour within 20."""
    _, (picture,) = draw_examples(1, 72, judge_stream(0))
    rng = judge_stream(1)
    drawn = [worn(picture, rng) for _ in range(20)]
    assert {(other.shape, other.dtype) for other in drawn} == {((72, 72, 3), np.dtype("uint8"))}
    assert sum(np.array_equal(other, picture) for other in drawn) <= 2
    assert max(np.abs(o.mean(axis=(0, 1)) - picture.mean(axis=(0, 1))).max() for o in drawn) < 20
