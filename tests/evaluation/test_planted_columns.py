"""Style and concept by the nearest real pictures, on a catalog in a plane."""

import numpy as np

from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.planted_columns import NearestRealPictures
from pigeon_recsys.evaluation.truth import CatalogTruth
from pigeon_recsys.records import GenerationTask, Item, Reference

ITEM_OF = {
    (concept, style): f"{style}-{concept}"
    for concept in ("c0", "c1", "c2", "c3", "c4", "c5")
    for style in ("fluent3d", "fluentcolor", "noto")
}
PLACE = {item_id: place for place, item_id in enumerate(ITEM_OF.values())}


def picture(place):
    return np.full((4, 4, 3), place, np.uint8)


class Catalog:
    def item(self, item_id):
        style, concept = item_id.split("-")
        return Item(item_id, concept, concept, {"concept": concept, "style": style})

    def pixels(self, item_id):
        return picture(PLACE[item_id])


class Dial:
    """Item n points at n · 5°."""

    label = "dial"
    tensor_hashes = frozenset()

    def image_vectors(self, images):
        angle = np.array([np.radians(float(pixels.mean()) * 5) for pixels in images])
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def scores(user, reference, place):
    truth = CatalogTruth(Catalog(), {"u3d": "fluent3d", "unoto": "noto"}, ITEM_OF)
    task = GenerationTask(user, (), "", Reference(reference), None, 0)
    found = NearestRealPictures(truth, Dial()).scores([Case(task, task)], [picture(place)])
    return {column.metric: value[0] for column, value in found.items()}


def test_the_style_is_that_of_the_nearest_picture_of_the_asked_concept():
    """c0 has fluent3d at 0, fluentcolor at 1, noto at 2; a picture at 17 is nearest to noto."""
    assert scores("unoto", "noto-c0", 17)["style right given the concept"] == 1
    assert scores("u3d", "noto-c0", 17)["style right given the concept"] == 0


def test_fluent3d_and_fluentcolor_count_as_one_style():
    assert scores("u3d", "noto-c0", 1)["style right given the concept"] == 1


def test_the_concept_may_be_among_the_five_nearest():
    """From place 0 the nearest five concepts are c0 to c4; c5 is the sixth."""
    assert scores("u3d", "noto-c4", 0)["concept in the nearest 5"] == 1
    assert scores("u3d", "noto-c5", 0)["concept in the nearest 5"] == 0
