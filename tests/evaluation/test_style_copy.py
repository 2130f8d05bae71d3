"""The copy control takes the concept from the style nearest to the user's, by pixels."""

import numpy as np
import pytest

from pigeon_recsys.evaluation.methods import Case, Method
from pigeon_recsys.evaluation.style_copy import CopyFromNearestStyle
from pigeon_recsys.evaluation.truth import read_truth
from pigeon_recsys.records import GenerationTask, Reference
from tests.evaluation.styled_catalog import write_styled

PICTURES = {
    "round-cat": 0,
    "soft-cat": 10,
    "sharp-cat": 100,
    "round-dog": 50,
    "soft-dog": 80,
    "sharp-dog": 130,
    "sharp-owl": 200,
    "round-owl": 210,
    "soft-fox": 40,
}
MAINS = {"ur": "round", "us": "soft", "ux": "sharp"}


@pytest.fixture
def copy_of(tmp_path):
    dataset = write_styled(tmp_path / "styled", PICTURES, MAINS, {"ur": ["round-cat"]})

    def make(withheld=frozenset()):
        return CopyFromNearestStyle(read_truth(dataset, withheld), dataset.without(withheld))

    return make


def grey_for(method, user_id, reference_id):
    task = GenerationTask(user_id, (), "", Reference(reference_id), None, 0)
    picture = method.pictures([Case(task, task)])[0]
    return None if picture is None else int(picture[0, 0, 0])


def test_styles_are_as_near_as_their_pictures_of_the_same_concept(copy_of):
    """round and soft: cat 10, dog 30, mean 20. sharp and round: cat 100, dog 80, owl 10."""
    distances = copy_of().distances
    assert distances["round", "soft"] == distances["soft", "round"] == pytest.approx(20)
    assert distances["sharp", "round"] == pytest.approx(190 / 3)
    assert distances["sharp", "soft"] == pytest.approx(70)


def test_the_concept_is_copied_from_the_nearest_style_that_shows_it(copy_of):
    """For round the nearest is soft; it has no owl, sharp has. For sharp it is round."""
    copy = copy_of()
    assert grey_for(copy, "ur", "sharp-cat") == PICTURES["soft-cat"]
    assert grey_for(copy, "ur", "sharp-owl") == PICTURES["sharp-owl"]
    assert grey_for(copy, "ux", "soft-dog") == PICTURES["round-dog"]


def test_withheld_pictures_are_neither_copied_nor_compared(copy_of):
    """Without the soft cat, round and soft share the dog alone, and the cat comes from sharp."""
    copy = copy_of(frozenset({"soft-cat"}))
    assert copy.distances["round", "soft"] == pytest.approx(30)
    assert grey_for(copy, "ur", "sharp-cat") == PICTURES["sharp-cat"]


def test_a_concept_in_no_other_style_has_no_copy(copy_of):
    assert grey_for(copy_of(), "us", "soft-fox") is None
    assert isinstance(copy_of(), Method)


def test_a_copy_is_the_catalogs_own_picture(copy_of):
    task = GenerationTask("ur", (), "", Reference("sharp-cat"), None, 0)
    copy = copy_of()
    picture = copy.pictures([Case(task, task)])[0]
    assert np.array_equal(picture, copy.catalog.pixels("soft-cat"))
