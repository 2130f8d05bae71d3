"""The service: what it offers, and what its workers tell each other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import NotConfigured, RequestError, UnknownItem
from pigeon_recsys.ranking.blend_input import Shown
from pigeon_recsys.records import Reference, SlotRequest
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.service.erasure import Erasure
from pigeon_recsys.service.feedback import Report
from pigeon_recsys.service.slot_service import ServiceParts, SlotService
from pigeon_recsys.service.worker_news import (
    Forget,
    Remove,
    Tell,
    WasShown,
    decode_news,
    encode_news,
)
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore
from pigeon_recsys.testing.fakes import FakeRanker
from tests.connectors.http_service.world import OTHER, USER, World, small_world, two_workers


@pytest.fixture
def world() -> World:
    return small_world()


@pytest.fixture
def workers(world: World) -> Iterator[list[SlotService]]:
    """Two workers over the same stores; each hears what the other tells."""
    pair = two_workers(world.service)
    yield pair
    for each in pair:
        each.close()


def report(kind: str, item_id: str, position: int | None = None, at_ms: int = 0) -> Report:
    return Report(USER, "r1", item_id, kind, at_ms or time.time_ns() // 1_000_000, position)


def test_what_one_worker_learns_was_shown_counts_in_all(workers: list[SlotService]) -> None:
    shown = report("shown", "gen-1", 0)
    workers[0].take_feedback([shown, report("shown", "item-01", 1)])
    for each in workers:
        assert each.slot.parts.shown.of(USER) == (Shown("gen-1", shown.at_ms),)


def test_a_creative_counts_as_the_picture_that_was_worn(
    workers: list[SlotService], world: World
) -> None:
    worn = replace(report("shown", "item-01", 0), creative_id="gen-2")
    workers[0].take_feedback([worn, replace(report("click", "item-01"), creative_id="gen-2")])
    for each in workers:
        assert each.slot.parts.shown.of(USER) == (Shown("gen-2", worn.at_ms),)
    (exposure, _) = world.log.entries
    assert (exposure.item_id, exposure.creative_id) == ("item-01", "gen-2")


def test_reports_with_faults_count_nowhere(workers: list[SlotService], world: World) -> None:
    with pytest.raises(RequestError, match="position: must say"):
        workers[0].take_feedback([report("shown", "gen-1", 0), report("shown", "gen-2")])
    assert workers[0].slot.parts.shown.of(USER) == ()
    assert world.log.entries == []


def test_an_erasure_reaches_the_memory_of_all_workers(workers: list[SlotService]) -> None:
    for each in workers:
        for user_id in (USER, OTHER):
            each.fill(SlotRequest(f"r-{user_id}", user_id))
    workers[0].take_feedback([report("shown", "gen-1", 0)])
    found = workers[0].erase_user(USER)
    assert found.is_complete
    assert found.erased["memory"] == 2
    for each in workers:
        assert each.slot.parts.shown.of(USER) == ()
        assert each.slot.parts.recent is not None
        assert [slate.user_id for _, slate in each.slot.parts.recent.newest(9)] == [OTHER]


def test_an_erasure_reaches_what_rankers_keep_of_pictures(world: World) -> None:
    class Keeping(FakeRanker):
        num_forgotten = 0

        def forget_generated(self) -> int:
            self.num_forgotten += 1
            return 1

    ranker = Keeping()
    service = world.service()
    parts = replace(service.slot.parts, ranker=ranker)
    with Slot(parts, service.slot.settings) as slot:
        SlotService(slot, service.parts).erase_user(USER)
    assert ranker.num_forgotten == 1


def test_an_erasure_reaches_the_indexes_of_all_workers(world: World) -> None:
    """Each worker has its own, kept up to date with what was generated for everybody."""
    (mine,), (others,) = world.items.of_user(USER, 9), world.items.of_user(OTHER, 9)
    ids, rows_ND = [mine.item_id, others.item_id], np.stack([mine.embedding, others.embedding])
    indexes: list[FaissIndex] = []

    def open_service(tell: Tell) -> SlotService:
        indexes.append(FaissIndex.build(ids, rows_ND))
        erasure = Erasure(world.items, world.images, world.histories, indexes[-1])
        return SlotService(world.slot(), ServiceParts(erasure=erasure), tell)

    pair = two_workers(open_service)
    found = pair[0].erase_user(USER)
    assert found.is_complete
    assert found.erased["index"] == 1
    assert [index.item_ids for index in indexes] == [(others.item_id,)] * 2
    for each in pair:
        each.close()


def test_news_arrive_as_they_were_told() -> None:
    for news in (
        Remove(("gen-1", "gen-2")),
        Forget("ada \u00e9\x00"),
        WasShown("ada", Shown("gen-1", 5)),
    ):
        assert decode_news(encode_news(news)) == news


def test_an_item_and_its_picture_are_found_or_told_missing(
    workers: list[SlotService], world: World
) -> None:
    (item,) = world.items.of_user(USER, 9)
    assert workers[0].item(item.item_id) == item
    assert workers[0].image(item).startswith(b"\x89PNG")
    with pytest.raises(UnknownItem, match="the store of generated items holds no item 'gen-9'"):
        workers[0].item("gen-9")
    workers[0].erase_user(USER)
    with pytest.raises(UnknownItem, match="the store of pictures holds no item"):
        workers[0].image(item)


def test_a_part_that_is_left_out_is_named(world: World) -> None:
    service = SlotService(world.slot())
    (item,) = world.items.of_user(USER, 9)
    asks: dict[str, Callable[[], object]] = {
        "items": lambda: service.item("gen-1"),
        "images": lambda: service.image(item),
        "generator, items and images": lambda: service.request_generation(
            USER, Reference(text="x")
        ),
        "log": lambda: service.take_feedback([]),
    }
    for setting, ask in asks.items():
        with pytest.raises(NotConfigured, match=f"needs {setting}, which the settings leave out"):
            ask()
    service.close()


def test_a_service_is_ready_when_its_stores_answer(
    workers: list[SlotService], world: World
) -> None:
    assert workers[0].problems() == []
    assert isinstance(world.items, FakeGeneratedItemStore)
    world.items.failures_left = 1
    assert workers[0].problems() == ["the store of items fails; the log says why"]


def test_closing_closes_the_log_and_ends_the_slot(world: World) -> None:
    service = world.service()
    service.close()
    assert world.log.is_closed
    slate = service.fill(SlotRequest("r1", USER))
    assert slate.reason == "the slot is closed"
