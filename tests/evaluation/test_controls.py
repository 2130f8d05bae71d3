"""Controls change one thing of a request and nothing else; copies need no generator."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.evaluation.controls import (
    CopyOfReference,
    GroundTruth,
    MostSimilarHistoryImage,
    NearestCatalogImage,
    own_tasks,
    swapped_tasks,
    tasks_with_shuffled_references,
    tasks_without_history,
    tasks_without_reference_image,
    tasks_without_text,
)
from pigeon_recsys.evaluation.methods import Case, Generated, Method
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference, ScoredItem
from pigeon_recsys.testing.fakes import FakeGenerator

VECTORS = {
    "north": (0.0, 1.0),
    "east": (1.0, 0.0),
    "northeast": (0.6, 0.8),
    "eastnorth": (0.8, 0.6),
    "west": (-1.0, 0.0),
}


class PlaneIndex:
    """Five items in a plane."""

    def vectors(self, item_ids):
        return np.array([VECTORS[item_id] for item_id in item_ids], np.float32)

    def search(self, query, k, *, within=None):
        scores = {item_id: float(np.dot(query, vector)) for item_id, vector in VECTORS.items()}
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:k]
        return [ScoredItem(item_id, scores[item_id]) for item_id in best]


class PlaneCatalog:
    """Every item's picture is its place among the names."""

    def pixels(self, item_id):
        return picture(list(VECTORS).index(item_id))


def picture(value):
    return np.full((4, 4, 3), value, np.uint8)


def task(user, history, reference, seed=0):
    images = tuple(HistoryImage(item_id, PlaneCatalog().pixels(item_id)) for item_id in history)
    return GenerationTask(
        user, images, f"hash-{user}", Reference(reference), PlaneCatalog().pixels(reference), seed
    )


@pytest.fixture
def cases():
    return [
        Case(task("a", ["north", "west"], "east", 1), task("a", ["east"], "east", 1), picture(9)),
        Case(task("b", ["west"], "north", 2), task("b", ["north"], "north", 2)),
    ]


def test_no_history_leaves_the_reference_and_the_seed(cases):
    changed = tasks_without_history(cases)[0]
    assert (changed.history, changed.history_hash) == ((), "")
    assert (changed.reference, changed.seed) == (cases[0].task.reference, 1)


def test_without_a_reference_picture_the_words_ask_and_all_else_stays(cases):
    changed = tasks_without_reference_image(cases)[0]
    assert changed.reference_pixels is None
    own = cases[0].task
    assert replace(changed, reference_pixels=own.reference_pixels) == own


def test_without_text_the_picture_asks_and_a_request_of_words_alone_stays(cases):
    asked = replace(cases[0].task, reference=Reference("east", "a star"))
    words = replace(cases[0].task, reference=Reference(None, "a star"), reference_pixels=None)
    changed = tasks_without_text([Case(asked, asked), Case(words, words)])
    assert changed == [cases[0].task, words]


def test_a_swapped_task_is_the_cases_own_one(cases):
    assert swapped_tasks(cases) == [case.swapped for case in cases]
    assert own_tasks(cases) == [case.task for case in cases]


def test_shuffled_references_are_the_next_cases(cases):
    changed = tasks_with_shuffled_references(cases)
    assert [each.reference.item_id for each in changed] == ["north", "east"]
    assert [each.history for each in changed] == [case.task.history for case in cases]
    assert changed[0].reference_pixels is cases[1].task.reference_pixels


def test_retrieval_returns_neither_reference_nor_history(cases):
    """b: half west, half north is (-0.5, 0.5); of the three left, northeast has 0.07, most."""
    assert NearestCatalogImage(PlaneIndex(), PlaneCatalog()).pictures(cases)[1][0, 0, 0] == 2


def test_the_history_copy_is_the_one_nearest_to_the_reference(cases):
    """a: east against north is 0, against west -1."""
    assert MostSimilarHistoryImage(PlaneIndex()).pictures(cases)[0][0, 0, 0] == 0


def test_without_history_there_is_nothing_to_copy():
    empty = Case(task("a", [], "east"), task("a", [], "east"))
    assert MostSimilarHistoryImage(PlaneIndex()).pictures([empty]) == [None]


def test_reference_and_truth_are_shown_as_they_are(cases):
    assert CopyOfReference().pictures(cases)[0] is cases[0].task.reference_pixels
    assert GroundTruth().pictures(cases)[1] is None


def test_a_task_that_cannot_be_done_has_no_picture(cases):
    class Refuses:
        def generate(self, tasks):
            raise GenerationError("no")

    assert Generated("refuses", Refuses(), own_tasks).pictures(cases) == [None, None]


def test_a_task_that_cannot_be_done_costs_those_asked_for_beside_it_nothing(cases) -> None:
    """Of twenty tasks, two batches, one fails; the others are answered in order."""
    many = [cases[number % len(cases)] for number in range(20)]
    tasks = [replace(case.task, user_id=f"u{n}", seed=n) for n, case in enumerate(many)]
    generator = FakeGenerator(fails_for=["u7"])
    made = Generated("refuses one", generator, lambda cases: tasks).pictures(many)
    assert made.pop(7) is None
    del tasks[7]
    for picture, expected in zip(made, generator.generate(tasks), strict=True):
        assert np.array_equal(picture, expected.pixels)


@pytest.mark.parametrize(
    "method",
    [
        NearestCatalogImage(PlaneIndex(), PlaneCatalog()),
        MostSimilarHistoryImage(PlaneIndex()),
        CopyOfReference(),
        GroundTruth(),
        Generated("generated", None, own_tasks),
    ],
    ids=lambda method: method.name,
)
def test_every_control_is_a_method(method):
    assert isinstance(method, Method)
