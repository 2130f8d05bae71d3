"""The generate worker: each job has one result, whatever fails or dies between any two steps."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.errors import (
    DatasetError,
    GenerationError,
    ImageStoreError,
    LogError,
    PartitionsMoved,
    SettingsError,
)
from pigeon_recsys.records import Generation, GenerationTask, Pixels, Vectors
from pigeon_recsys.streaming.generate import GenerateSettings
from pigeon_recsys.streaming.generation_requests import JsonRequests
from pigeon_recsys.streaming.takeovers import MOST, TRUSTED
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.fakes import FakeCatalog, FakeGenerator
from tests.streaming.pipeline import KEYED, SETTINGS, Worker, World


def test_a_worker_that_takes_over_goes_on_where_the_other_was() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    Worker(world).step()  # starts the job and is gone
    heir = Worker(world)
    heir.run()
    assert len(world.published()) == len(world.generator.made) == 1
    world.likes("ada", 1, 2, 3)
    Worker(world).run()
    assert len(world.published()) == 1, "the heir's heir knows what was made"


def test_a_job_that_ends_its_workers_is_given_up_and_the_jobs_beside_it_are_not() -> None:
    """A worker that makes bad's picture ends, with eve's job in hand and often ada's too.

    Bad's job is started once and taken over ten times, so eleven workers are lost by it.
    """
    world = World()
    for user_id in ("ada", "bad", "eve"):
        world.likes(user_id, 1, 2, 3)
    num_lost = 0
    for _ in range(30):
        worker = Worker(world)
        if worker.ends_by("bad"):
            num_lost += 1
        else:
            worker.run()
            break
    assert num_lost == 1 + MOST
    assert {item.provenance.user_id for item in world.published()} == {"ada", "eve"}
    ((reason, value),) = world.letters()
    assert (reason, JsonRequests().decode(value).user_id) == ("workers-lost", "bad")


def test_a_suspect_that_was_lost_with_its_partition_is_tried_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It left the pool then; a worker that took it to be on trial still would wait for ever."""
    world = World()
    world.likes("ada", 1, 2, 3)
    for _ in range(TRUSTED + 1):
        Worker(world).step()
    worker = Worker(world)
    worker.step()  # on trial
    world.likes("bob", 1, 2, 3)

    def moved(*_: object) -> None:
        raise PartitionsMoved("to another worker, for a while")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(worker.log, "commit", moved)
        worker.step()
    worker.run()
    assert {item.provenance.user_id for item in world.published()} == {"ada", "bob"}


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(SettingsError, match="--takeovers must be at least 1, got 0"):
        GenerateSettings(most_takeovers=0)


def test_a_picture_stored_by_a_worker_that_died_is_not_made_again() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    dead = Worker(world)
    dead.step()
    dead.make()
    heir = Worker(world)
    heir.run()
    assert len(world.published()) == len(world.generator.made) == 1


def test_a_zombie_publishes_nothing() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    zombie = Worker(world)
    zombie.step()
    zombie.make()
    heir = Worker(world)
    heir.step()
    assert not zombie.step()
    assert world.published() == []
    assert len(zombie.queue) == 0
    heir.run()
    assert len(world.published()) == 1


def test_partitions_lost_and_regained_are_read_anew() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    worker.make()
    between = Worker(world)
    between.run()
    world.topics.owner = worker.log
    worker.log.tenure += 1
    worker.run()
    assert len(world.published()) == 1, "the job was done in between"


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class MortalLog(FakeEventLog):
    """Dies, or loses its partitions, before or after a transaction, by chance."""

    chance = random.Random(0)

    def commit(self, read, new) -> None:  # type: ignore[no-untyped-def]
        if self.chance.random() < 0.2:
            raise Killed
        if self.chance.random() < 0.2:
            self._topics.owner = FakeEventLog(self._topics, [])
        super().commit(read, new)
        if self.chance.random() < 0.2:
            raise Killed


USERS = ("ada", "bob", "eve")


class Mayhem:
    """Lets things happen while workers work, die and are left behind."""

    def __init__(self, seed: int) -> None:
        self.world = World()
        self.chance = MortalLog.chance = random.Random(seed)
        self.worker = self.new_worker()

    def new_worker(self) -> Worker:
        return Worker(self.world, MortalLog(self.world.topics, SETTINGS.reads))

    def happens(self, what: str, number: int) -> None:
        world, chance = self.world, self.chance
        world.now_ms += 30_000
        if what == "ask":
            world.ask(chance.choice(USERS), f"r{number}", f"item-{chance.randrange(12):02d}")
        else:
            world.likes(what, *(chance.randrange(12) for _ in range(2)))

    def works(self) -> None:
        try:
            self.worker.step()
            if self.chance.random() < 0.7:
                self.worker.make()
        except Killed:
            self.worker = self.new_worker()
        if self.world.topics.owner is not self.worker.log or self.chance.random() < 0.05:
            self.worker = self.new_worker()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**16), st.lists(st.sampled_from([*USERS, "ask"]), max_size=25))
def test_whatever_dies_each_job_has_one_result(seed: int, happens: list[str]) -> None:
    """Workers die anywhere; whoever takes over finishes. Nothing is published or made twice."""
    mayhem = Mayhem(seed)
    world = mayhem.world
    for number, what in enumerate(happens):
        mayhem.happens(what, number)
        mayhem.works()
    Worker(world).run()
    keys = [item.job_key for item in world.published()]
    assert len(keys) == len(set(keys)), "a job was published twice"
    for item in world.published():
        made = item.provenance
        task = (made.user_id, made.history_hash, made.reference.item_id, made.seed)
        assert world.generator.made.count(task) == 1, "a stored picture was made again"
        assert item.image.removeprefix("fake://") in world.images.contents
        assert item.item_id in world.items.stored
    for user_id in USERS:
        known = world.histories.states([user_id])
        if known and len(known[user_id].history().liked) >= 3:
            assert any(item.provenance.user_id == user_id for item in world.published())


class Rubbish(FakeGenerator):
    """Signs one picture and hands out another."""

    def generate(self, tasks: list[GenerationTask]) -> list[Generation]:  # type: ignore[override]
        made = super().generate(tasks)
        for each in made:
            each.pixels[:] = 255 - each.pixels
        return made


class Short(FakeGenerator):
    """Forgets a task."""

    def generate(self, tasks: list[GenerationTask]) -> list[Generation]:  # type: ignore[override]
        return super().generate(tasks)[1:]


@pytest.mark.parametrize("generator", [Rubbish(), Short()])
def test_rubbish_is_never_published(generator: FakeGenerator) -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world, generator=generator)
    for _ in range(4):
        worker.step()
        worker.make()
        world.now_ms += 2_000
    worker.run()
    assert world.published() == []
    assert [reason for reason, _ in world.letters()] == ["generation"]


@pytest.mark.parametrize("store", ["images", "items"])
def test_a_store_that_fails_is_waited_for_and_the_picture_is_published_once(store: str) -> None:
    world = World()
    getattr(world, store).failures_left = 6
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    for _ in range(20):
        worker.step()
        worker.make()
        world.now_ms += 60_000
    assert len(world.published()) == 1
    assert world.letters() == []


def test_a_history_store_that_fails_is_asked_again() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.worker._planner = FailingPlanner(worker.worker._planner)  # type: ignore[assignment]
    worker.run()
    assert world.published() == []
    world.now_ms += 2_000
    worker.run()
    assert len(world.published()) == 1


def test_a_history_store_that_fails_is_asked_once_a_step() -> None:
    """Each read of a locked store takes its time-out; a step with a hundred would take minutes."""
    world = World()
    for user_id in ("ada", "bob", "eve"):
        world.likes(user_id, 1, 2, 3)
    worker = Worker(world)
    planner = FailingPlanner(worker.worker._planner)
    worker.worker._planner = planner  # type: ignore[assignment]
    worker.step()
    assert planner.num_asked == 1
    worker.run()
    world.now_ms += 2_000
    worker.run()
    assert len(world.published()) == 3


class FailingPlanner:
    """Fails once."""

    num_asked = 0

    def __init__(self, planner) -> None:  # type: ignore[no-untyped-def]
        self._planner, self._failed = planner, False
        self.index = planner.index

    def plan(self, turn, now_ms):  # type: ignore[no-untyped-def]
        from pigeon_recsys.errors import HistoryStoreError

        self.num_asked += 1
        if not self._failed:
            self._failed = True
            raise HistoryStoreError("locked")
        return self._planner.plan(turn, now_ms)


def test_topics_that_do_not_fit_each_other_are_refused() -> None:
    world = World()
    counts = dict.fromkeys(KEYED, 2) | {SETTINGS.state: 3}
    world.topics = FakeTopics(counts)
    with pytest.raises(SettingsError, match="must have the same number of partitions"):
        Worker(world)
    del counts[SETTINGS.state]
    world.topics = FakeTopics(counts)
    with pytest.raises(LogError, match="there is no topic 'generation-state'"):
        Worker(world)


def test_a_generator_that_raises_anything_stops_nobody() -> None:
    class Broken(FakeGenerator):
        def generate(self, tasks: list[GenerationTask]) -> list[Generation]:  # type: ignore[override]
            raise GenerationError("out of memory") if len(tasks) > 1 else GenerationError("alone")

    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world, generator=Broken())
    worker.step()
    worker.make()
    assert worker.step().num_in_hand == 1


class Prude:
    """Cannot judge any picture."""

    def unsafe(self, images: Sequence[Pixels]) -> Vectors:
        return np.array([float("nan")] * len(images), np.float32)


def test_what_a_safety_classifier_cannot_pass_is_never_published() -> None:
    world = World()
    world.stage = replace(world.stage, safety=Prude())
    world.likes("ada", 1, 2, 3)
    Worker(world).run()
    assert world.published() == []
    assert world.images.contents == {}, "nothing of it is stored"
    assert [reason for reason, _ in world.letters()] == ["generation"]


class BrokenCatalog(FakeCatalog):
    """The picture of one item cannot be read."""

    error: Exception = DatasetError(Path("catalog"), ["item-09 is no picture"])

    def pixels(self, item_id: str) -> Pixels:
        if item_id == "item-09":
            raise self.error
        return super().pixels(item_id)


def test_a_picture_that_cannot_be_read_fails_its_own_user_alone() -> None:
    world = World()
    world.stage = replace(world.stage, catalog=BrokenCatalog(num_items=12))
    world.likes("bad", 1, 2, 9)
    world.likes("good", 1, 5)
    world.ask("good", "r1", "item-07")
    Worker(world).run()
    assert [item.provenance.user_id for item in world.published()] == ["good"]
    ((_, value),) = world.letters()
    assert JsonRequests().decode(value).user_id == "bad"


def test_a_picture_in_a_store_that_fails_is_waited_for() -> None:
    world = World()
    broken = BrokenCatalog(num_items=12)
    broken.error = ImageStoreError("gone for a while")
    world.stage = replace(world.stage, catalog=broken)
    world.likes("ada", 1, 2, 9)
    worker = Worker(world)
    for _ in range(6):
        worker.step()
        worker.make()
        world.now_ms += 60_000
    assert world.letters() == world.published() == []
    worker.maker._stage = replace(world.stage, catalog=world.catalog)
    worker.run()
    assert len(world.published()) == 1
