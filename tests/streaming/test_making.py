"""Making a batch: what one picture meets is its own affair, and what is made is made once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.records import Generation, GenerationTask
from pigeon_recsys.streaming.job_queue import Failed, Made
from pigeon_recsys.streaming.replay import replay_step
from pigeon_recsys.testing.fake_event_log import FakeEventLog
from pigeon_recsys.testing.fakes import FakeGenerator
from tests.streaming.pipeline import LETTERS, Worker, World

USERS = ("bad", "good")


class Spoiler(FakeGenerator):
    """Spoils what it makes for the user `bad`."""

    def __init__(self, spoil: Callable[[Generation], Any]) -> None:
        super().__init__()
        self._spoil = spoil

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        made = super().generate(tasks)
        return [self._spoil(each) if each.provenance.user_id == "bad" else each for each in made]


def unsigned(made: Generation) -> Generation:
    return replace(made, provenance=None)  # type: ignore[arg-type]


def another_users(made: Generation) -> Generation:
    return replace(made, provenance=replace(made.provenance, user_id="eve"))


def unnamed(made: Generation) -> Generation:
    return replace(made, item_id="")


@pytest.mark.parametrize(
    "spoil", [lambda made: None, unsigned, another_users, unnamed], ids=lambda each: each.__name__
)
def test_garbage_fails_its_own_job_and_no_other_of_the_batch(
    spoil: Callable[[Generation], Any],
) -> None:
    """Whatever a check stumbled over failed the whole batch, and so every job in it."""
    world = World()
    for user_id in USERS:
        world.likes(user_id, 1, 2, 3)
    worker = Worker(world, generator=Spoiler(spoil))
    worker.step()
    batch = worker.queue.take(worker.now_s())
    outcomes = worker.maker.make(batch)
    told = {each.job.user_id: out for each, out in zip(batch, outcomes, strict=True)}
    assert isinstance(told["good"], Made)
    assert isinstance(told["bad"], Failed)
    assert isinstance(told["bad"].error, GenerationError)


def test_a_picture_that_no_store_took_is_kept_and_not_made_again() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    failing = iter([False, True, True, True, False, True])  # looks, writes, looks, looks, writes
    read, write = world.images.read, world.images.write

    def failing_now(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            world.images.failures_left = int(next(failing, False))
            return call(*arguments)

        return called

    world.images.read, world.images.write = failing_now(read), failing_now(write)  # type: ignore[method-assign]
    for _ in range(8):
        worker.make()
        worker.step()
        world.now_ms += 60_000
    assert next(failing, None) is None
    assert len(world.published()) == len(world.generator.made) == 1


def test_a_dead_letter_replayed_after_a_fix_is_answered() -> None:
    """A job that was given up counted as done, so that its replay did nothing."""
    world = World()
    world.likes("ada", 1)
    world.ask("ada", "r1", "item-07")
    world.likes("bob", 1, 2, 3)
    worker = Worker(world, generator=FakeGenerator(fails_for=["ada", "bob"]))
    for _ in range(4):
        worker.step()
        worker.make()
        world.now_ms += 2_000
    assert len(world.letters()) == 2
    assert replay_step(FakeEventLog(world.topics, [LETTERS]), 0) == 2
    Worker(world).run()
    assert {item.provenance.user_id for item in world.published()} == {"ada", "bob"}
