"""Gathering a generation task."""

import pytest

from pigeon_recsys.errors import GenerationError, UnknownItem
from pigeon_recsys.records import LIKE, SKIP, History, Reference
from pigeon_recsys.retrieval.task import gather_task
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder, FakeIndex

CATALOG = FakeCatalog()
INDEX = FakeIndex(
    CATALOG.item_ids, FakeEmbedder().embed([CATALOG.pixels(i) for i in CATALOG.item_ids])
)


def history(event: str, count: int) -> History:
    ids = tuple(CATALOG.item_ids[:count])
    return History("ada", ids, tuple(range(count)), (event,) * count)


def test_a_task_holds_selected_likes_and_the_reference() -> None:
    wanted = CATALOG.item_ids[-1]
    task = gather_task(CATALOG, INDEX, history(LIKE, 4), Reference(wanted), 3, num_images=2)
    assert task.user_id == "ada"
    assert len(task.history) == 2
    assert {image.item_id for image in task.history} <= set(CATALOG.item_ids[:4])
    assert task.reference_pixels is not None
    assert (task.reference_pixels == CATALOG.pixels(wanted)).all()
    assert task.seed == 3


def test_a_text_brings_no_picture() -> None:
    task = gather_task(CATALOG, INDEX, history(LIKE, 2), Reference(text="a cat"), 0)
    assert task.reference_pixels is None


def test_a_user_without_likes_is_refused() -> None:
    with pytest.raises(GenerationError, match="user 'ada' likes no item"):
        gather_task(CATALOG, INDEX, history(SKIP, 2), Reference(text="a cat"), 0)


def test_an_unknown_reference_is_refused() -> None:
    with pytest.raises(UnknownItem, match="'nothing'"):
        gather_task(CATALOG, INDEX, history(LIKE, 2), Reference("nothing"), 0)
