"""The follower: the folder holds what the offsets say, whatever fails or dies in between."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.errors import LogError, OutputError
from pigeon_recsys.records import GeneratedItem
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.retrieval.index_manifest import IndexManifest, IndexSource
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord, Place
from pigeon_recsys.streaming.follow_items import (
    Followed,
    FollowSettings,
    ItemFollower,
    group_of,
    only_follower,
)
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.removals import removal_records
from pigeon_recsys.streaming.topics import GENERATED
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.generated_item_store_contract import DIM, make_item

SETTINGS = FollowSettings(save_every_s=10, first_wait_s=1, longest_wait_s=4)
CATALOG = ["cat", "dog"]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """Topics, an index folder with a catalog in it, and a clock that stands still."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.topics = FakeTopics({GENERATED: 2, GENERATED + SUFFIX: 1})
        FaissIndex.build(CATALOG, np.eye(2, DIM, dtype=np.float32)).save(folder)

    def follower(self, log: FakeEventLog | None = None) -> ItemFollower:
        """Start one from what the folder holds."""
        return ItemFollower(
            log or FakeEventLog(self.topics, [GENERATED]),
            FaissIndex.load(self.folder),
            self.folder,
            JsonGeneratedItems(),
            SETTINGS,
            now_s=self.clock,
        )

    def publish(self, items: Iterable[GeneratedItem]) -> None:
        codec = JsonGeneratedItems()
        self.topics.write(
            [NewRecord(GENERATED, item.item_id.encode(), codec.encode(item)) for item in items]
        )

    @property
    def saved(self) -> set[str]:
        """The generated items that the folder holds."""
        return set(FaissIndex.load(self.folder).item_ids) - set(CATALOG)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "index")


ITEMS = [make_item(number) for number in range(6)]
IDS = {item.item_id for item in ITEMS}


def test_items_are_added_saved_and_committed_when_it_is_time(world: World) -> None:
    follower = world.follower()
    world.publish(ITEMS)
    assert follower.step() == Followed(num_records=6, num_items=6)
    assert (world.saved, world.topics.committed) == (set(), {})
    world.clock.now_s = 9.9
    assert not follower.step()
    assert world.saved == set()
    world.clock.now_s = 10
    assert not follower.step()
    assert world.saved == IDS
    assert sum(world.topics.committed.values()) == 6
    loaded = FaissIndex.load(world.folder)
    assert loaded.search(ITEMS[0].embedding, 1)[0].item_id == ITEMS[0].item_id


def test_the_end_saves_what_there_is(world: World) -> None:
    follower = world.follower()
    world.publish(ITEMS)
    follower.step()
    follower.finish()
    assert world.saved == IDS
    assert sum(world.topics.committed.values()) == 6


def test_nothing_new_is_not_saved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = world.follower()
    monkeypatch.setattr(FaissIndex, "save", lambda *_: pytest.fail("saved"))
    world.clock.now_s = 99
    follower.step()
    follower.finish()


def test_a_follower_that_dies_before_the_commit_misses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for kill -9."""

    def die(*_: object) -> None:
        raise Killed

    world.publish(ITEMS)
    for when in (FaissIndex, FakeEventLog):
        follower = world.follower()
        with monkeypatch.context() as dying:
            dying.setattr(when, "save" if when is FaissIndex else "commit", die)
            follower.step()
            with pytest.raises(Killed):
                follower.finish()
        assert world.topics.committed == {}
        assert world.saved == (set() if when is FaissIndex else IDS)
    follower = world.follower()
    assert follower.step().num_items == 6
    follower.finish()
    assert world.saved == IDS
    assert len(FaissIndex.load(world.folder)) == len(CATALOG) + 6


def test_an_item_published_again_replaces_itself(world: World) -> None:
    follower = world.follower()
    again = replace(ITEMS[0], embedding=ITEMS[1].embedding)
    world.publish([ITEMS[0], ITEMS[0], again])
    assert follower.step() == Followed(num_records=3, num_items=1)
    follower.finish()
    (vector,) = FaissIndex.load(world.folder).vectors([again.item_id])
    assert np.array_equal(vector, again.embedding)


def test_what_cannot_be_indexed_becomes_a_dead_letter_and_stops_nobody(world: World) -> None:
    follower = world.follower()
    narrow = make_item(9, embedding=np.array([0.6, 0.8], np.float32))
    world.publish([narrow, ITEMS[0]])
    bad = [NewRecord(GENERATED, b"k", b"no item", 0), NewRecord(GENERATED, b"k", None, 0)]
    world.topics.write(bad)
    assert follower.step() == Followed(num_records=4, num_items=1, num_dead=3)
    assert world.topics.records(GENERATED + SUFFIX) == []
    follower.finish()
    letters = world.topics.records(GENERATED + SUFFIX)
    told = {dict(letter.headers)["reason"]: dict(letter.headers)["error"] for letter in letters}
    assert set(told) == {b"malformed", b"wrong-width"}
    assert b"has 2 numbers, this index 96. Embed items and catalog" in told[b"wrong-width"]
    assert len(letters) == 3
    assert world.saved == {ITEMS[0].item_id}
    assert sum(world.topics.committed.values()) == 4


def test_items_that_are_taken_back_leave_the_index_and_the_folder(world: World) -> None:
    follower = world.follower()
    world.publish(ITEMS)
    follower.step()
    gone = [ITEMS[0].item_id, ITEMS[1].item_id]
    world.topics.write(removal_records(GENERATED, "ada", [*gone, "gen-never-seen"]))
    assert follower.step() == Followed(num_records=1, num_removed=2)
    follower.finish()
    assert world.saved == IDS - set(gone)
    assert sum(world.topics.committed.values()) == 7


def test_an_item_that_is_published_after_it_was_taken_back_stays_out(world: World) -> None:
    """A worker that made it has not yet heard of the erasure."""
    follower = world.follower()
    world.topics.write(removal_records(GENERATED, "ada", [ITEMS[0].item_id]))
    follower.step()
    world.publish(ITEMS[:2])
    assert follower.step() == Followed(num_records=2, num_items=1)
    follower.finish()
    assert world.saved == {ITEMS[1].item_id}


@pytest.mark.parametrize("fault", [OSError(28, "No space left"), RuntimeError("could not write")])
def test_a_folder_that_refuses_is_waited_for_and_nothing_is_read_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    log = FakeEventLog(world.topics, [GENERATED])
    follower = world.follower(log)
    world.publish(ITEMS[:3])
    follower.step()
    world.clock.now_s = 10

    def refuse(*_: Any) -> IndexManifest:
        raise fault

    with monkeypatch.context() as full:
        full.setattr(FaissIndex, "save", refuse)
        follower.step()
        world.publish(ITEMS[3:])
        for _ in range(3):
            assert not follower.step()
        told = re.escape(f"cannot save the index to {world.folder}: {fault}. Free space there")
        with pytest.raises(OutputError, match=told):
            follower.finish()
    assert log.idled_s == [1, 2, 4, 4]
    assert world.topics.committed == {}
    follower.step()
    assert world.saved == {item.item_id for item in ITEMS[:3]}
    assert follower.step().num_items == 3
    follower.finish()
    assert world.saved == IDS


def test_partitions_that_moved_are_left_to_whoever_has_them(world: World) -> None:
    zombie = world.follower()
    world.publish(ITEMS)
    zombie.step()
    world.follower()  # takes the partitions over
    zombie.finish()
    assert world.topics.committed == {}


def test_what_was_read_before_a_partition_was_lost_is_read_again(world: World) -> None:
    log = FakeEventLog(world.topics, [GENERATED])
    follower = world.follower(log)
    world.publish(ITEMS)
    follower.step()
    log.tenure += 1
    follower.finish()
    assert world.topics.committed == {}
    log.rewind()
    assert follower.step().num_items == 6
    follower.finish()
    assert sum(world.topics.committed.values()) == 6


def test_a_commit_refused_after_all_is_read_again_and_one_that_fails_is_raised(
    world: World,
) -> None:
    class Moving(FakeEventLog):
        def commit(self, read: Mapping[Place, int], new: Sequence[NewRecord]) -> None:
            owner, self._topics.owner = self._topics.owner, None
            try:
                super().commit(read, new)
            finally:
                self._topics.owner = owner

    world.publish(ITEMS)
    follower = world.follower(Moving(world.topics, [GENERATED]))
    follower.step()
    follower.finish()
    assert world.topics.committed == {}
    assert follower.step().num_items == 6
    world.topics = FakeTopics({GENERATED: 1})  # nowhere to put a dead letter
    world.topics.write([NewRecord(GENERATED, b"k", b"no item")])
    follower = world.follower()
    follower.step()
    with pytest.raises(LogError, match="there is no topic"):
        follower.finish()


def test_an_index_has_a_group_of_its_own_while_it_is_the_same(tmp_path: Path) -> None:
    source = IndexSource("embedder", "data")
    group = group_of(tmp_path / "index", source)
    assert group.startswith("pigeon-follow-")
    assert group == group_of(tmp_path / "index", IndexSource("embedder", "data"))
    others = {
        group_of(tmp_path / "other", source),
        group_of(tmp_path / "index", IndexSource("embedder", "new data")),
        group_of(tmp_path / "index", IndexSource("new embedder", "data")),
    }
    assert len(others | {group}) == 4


def test_a_second_follower_into_a_folder_is_refused(tmp_path: Path) -> None:
    with (
        only_follower(tmp_path / "index"),
        pytest.raises(OutputError, match="another process follows into .*index. An index has one"),
        only_follower(tmp_path / "index"),
    ):
        pytest.fail("two at once")
    with only_follower(tmp_path / "index"):
        pass
    with (
        pytest.raises(OutputError, match=r"cannot write .*\.index\.lock: No such file"),
        only_follower(tmp_path / "nowhere/index"),
    ):
        pytest.fail("there is no such folder")
