"""What one evaluation says of itself, and what it compares near copies with."""

import numpy as np
import pytest

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.near_copies import NEAR_COPY_DISTANCE, nearest_distance, thumbnails
from pigeon_recsys.evaluation.run import catalog_thumbnails, told_of_cases
from pigeon_recsys.records import GenerationTask, Reference

SIZE = (72, 72)


class Posters:
    """One poster of black and white noise, 192 by 128."""

    item_ids = ("p",)

    def pixels(self, item_id):
        return 255 * np.random.default_rng(0).integers(0, 2, (192, 128, 3)).astype(np.uint8)


def case(user_id, target=None):
    task = GenerationTask(user_id, (), "", Reference("r"), None, 0)
    return Case(task, task, target)


def test_a_copy_of_a_catalog_picture_at_the_methods_size_is_no_further_than_itself():
    """The copy is resized twice, to 72 × 72 and to a thumbnail; so is the catalog's picture."""
    copy = thumbnails([resize(Posters().pixels("p"), *SIZE)])
    assert nearest_distance(copy, catalog_thumbnails(Posters(), SIZE))[0] == 0
    straight = thumbnails([Posters().pixels("p")])
    assert nearest_distance(copy, straight)[0] > NEAR_COPY_DISTANCE


def test_users_with_fewer_cases_and_a_missing_target_are_told():
    told = told_of_cases([case("a"), case("b"), case("a")], 2)
    assert (told["cases"], told["cases_per_user"]) == (3, 2)
    assert told["users_with_fewer_cases"] == "1, for whom no more references were left"
    assert told["target"].startswith("none known")


@pytest.mark.parametrize("key", ["users_with_fewer_cases", "target"])
def test_nothing_is_told_that_is_as_asked(key):
    target = np.zeros((2, 2, 3), np.uint8)
    assert key not in told_of_cases([case("a", target), case("b", target)], 1)
