"""An erasure reaches every place, says what it could not reach, and ends when it is repeated."""

import logging
from collections.abc import Sequence

import numpy as np
import pytest

from pigeon_recsys.errors import LogError, UnknownItem
from pigeon_recsys.generation.image_names import (
    picture_name,
    result_name,
    sweep_name,
    ticket_name,
)
from pigeon_recsys.hashed_ids import hashed
from pigeon_recsys.history.events import Erased, Interacted
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.service.erasure import Erasure, ErasureLog
from pigeon_recsys.streaming.event_log import NewRecord, Record
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.removals import removed_ids
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import FakeHistoryStateStore
from pigeon_recsys.testing.generated_item_store_contract import CREATED_MS, DIM, make_item

LATER = CREATED_MS + 1_000
USER = "ada-7f3"
MINE = [make_item(number, user_id=USER) for number in (1, 2)]
OTHERS = make_item(3, user_id="eve")
COMPLETE = {"items": 2, "history": 1, "cache": 1, "images": 8, "index": 2, "log": 2}


class Cache:
    def __init__(self) -> None:
        self.users = {USER, "eve"}

    def forget(self, user_id: str) -> int:
        held = user_id in self.users
        self.users.discard(user_id)
        return int(held)


class Writer:
    def __init__(self) -> None:
        self.written: list[NewRecord] = []
        self.is_down = False

    def write(self, new: Sequence[NewRecord]) -> None:
        if self.is_down:
            raise LogError(f"no broker answers to user {USER!r}.")
        self.written += new

    def close(self) -> None:
        raise AssertionError("whoever opened it closes it")


class World:
    """Two users everywhere."""

    def __init__(self, capacity: int = 200) -> None:
        self.items, self.images = FakeGeneratedItemStore(), FakeImageStore()
        self.histories, self.cache, self.writer = FakeHistoryStateStore(), Cache(), Writer()
        self.index = FaissIndex.build(["cat"], np.eye(1, DIM, dtype=np.float32))
        for item in (*MINE, OTHERS):
            self.images.write(picture_name(item.provenance.content_hash), b"picture")
            self.images.write(sweep_name(item.provenance.content_hash), b"sweep")
            self.images.write(result_name(item.job_key), b"result")
            self.images.write(ticket_name(item.job_key), b"ticket")
            self.items.put([item])
            self.index.add([item.item_id], item.embedding[None])
        for user_id in (USER, "eve"):
            like = Interacted(user_id, "e1", CREATED_MS, "cat", LIKE)
            self.histories.join([HistoryState.empty(user_id, capacity).merged([like])])
        self.erasure = Erasure(
            self.items,
            self.images,
            self.histories,
            self.index,
            {"cache": self.cache},
            ErasureLog(self.writer),
        )

    def assert_erased(self) -> None:
        """Nothing of the user is anywhere, and all of the other's is."""
        assert self.items.stored == {OTHERS.item_id: OTHERS}
        assert self.items.users[USER].left == ()
        assert set(self.images.contents) == {
            picture_name(OTHERS.provenance.content_hash),
            sweep_name(OTHERS.provenance.content_hash),
            result_name(OTHERS.job_key),
            ticket_name(OTHERS.job_key),
        }
        assert set(self.index.item_ids) == {"cat", OTHERS.item_id}
        assert self.cache.users == {"eve"}
        assert self.histories.recent(USER, limit=9).item_ids == ()
        assert self.histories.recent("eve", limit=9).item_ids == ("cat",)


def test_an_erasure_reaches_every_place_and_no_other_user() -> None:
    world = World()
    report = world.erasure.erase(USER, LATER)
    assert report.is_complete
    assert report.at_ms == LATER
    assert report.erased == COMPLETE
    world.assert_erased()


def test_the_log_is_told_of_the_erasure_and_of_each_item() -> None:
    world = World()
    world.erasure.erase(USER, LATER)
    event, removal = world.writer.written
    assert (event.topic, event.key) == ("interactions", USER.encode())
    assert JsonEvents().decode(event.value or b"") == Erased(USER, LATER)
    assert (removal.topic, removal.key) == ("generated-items", USER.encode())
    read = Record(removal.topic, 0, 0, removal.key, removal.value, removal.headers)
    assert set(removed_ids(read)) == {item.item_id for item in MINE}


def test_erasing_again_finds_nothing() -> None:
    world = World()
    world.erasure.erase(USER, LATER)
    again = world.erasure.erase(USER, LATER)
    assert again.is_complete
    assert again.erased == {**dict.fromkeys(COMPLETE, 0), "log": 1}
    world.assert_erased()


def test_a_user_of_whom_nothing_is_known_is_erased_too() -> None:
    """What is still on its way must not be taken in."""
    world = World()
    report = world.erasure.erase("nobody", LATER)
    assert report.is_complete
    assert world.items.put([make_item(9, user_id="nobody")])


@pytest.mark.parametrize("place", ["items", "images", "log"])
def test_a_place_that_fails_is_named_stops_no_other_and_is_reached_by_a_repetition(
    place: str,
) -> None:
    world = World()
    if place == "log":
        world.writer.is_down = True
    else:
        {"items": world.items, "images": world.images}[place].failures_left = 1
    report = world.erasure.erase(USER, LATER)
    assert not report.is_complete
    assert set(report.failed) == {place}
    assert report.failed[place].endswith("Then repeat the erasure with the same time.")
    assert USER not in report.failed[place]
    assert world.histories.recent(USER, limit=9).item_ids == ()
    assert world.cache.users == {"eve"}
    world.writer.is_down = False
    assert world.erasure.erase(USER, report.at_ms).is_complete
    world.assert_erased()


@pytest.mark.parametrize("num_steps", range(1, 7))
def test_an_erasure_that_died_after_any_step_is_ended_by_a_repetition(num_steps: int) -> None:
    world = World()
    left = [*world.items.erase_user(USER, LATER)]
    for step in list(world.erasure._steps(USER, LATER, left).values())[: num_steps - 1]:
        step()
    assert world.items.of_user(USER, limit=9) == [], "from the first step on nothing is shown"
    assert world.erasure.erase(USER, LATER).is_complete
    world.assert_erased()


def test_a_history_of_another_capacity_is_emptied() -> None:
    world = World(capacity=7)
    assert world.erasure.erase(USER, LATER).is_complete
    world.assert_erased()


def test_without_index_caches_and_log_the_stores_alone_are_erased() -> None:
    world = World()
    erasure = Erasure(world.items, world.images, world.histories)
    assert erasure.erase(USER, LATER).erased == {"items": 2, "history": 1, "images": 8}
    world.index.remove(each.item_id for each in MINE)
    with pytest.raises(UnknownItem):
        world.index.vectors([MINE[0].item_id])


def test_logs_name_no_user(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.writer.is_down = True
    with caplog.at_level(logging.INFO):
        world.erasure.erase(USER, LATER)
    assert hashed(USER) in caplog.text
    assert USER not in caplog.text
