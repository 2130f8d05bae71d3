"""Making a batch: what one picture meets is its own affair, and what is made is made once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.generation.picture_file import decode_provenance, is_unchanged
from pigeon_recsys.generation.xmp import GENERATED
from pigeon_recsys.history.events import Erased, Interacted
from pigeon_recsys.records import LIKE, Generation, GenerationTask
from pigeon_recsys.streaming.job_queue import Failed, Made
from pigeon_recsys.streaming.replay import Replay
from pigeon_recsys.testing.fake_event_log import FakeEventLog
from pigeon_recsys.testing.fakes import FakeGenerator
from tests.streaming.pipeline import LETTERS, NOON, Worker, World

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
    assert Replay(FakeEventLog(world.topics, [LETTERS])).step(0) == 2
    Worker(world).run()
    assert {item.provenance.user_id for item in world.published()} == {"ada", "bob"}


def test_every_picture_in_the_store_says_what_it_is_and_not_whose() -> None:
    """The item beside it, and the result under the job's key, say whose it is."""
    world = World()
    users = ("ada-7f3", "bob-7f3")
    for user_id in users:
        world.likes(user_id, 1, 2, 3)
    world.ask("ada-7f3", "r1", None, "a red cat")
    Worker(world).run()
    made = {
        picture_name(each.provenance.content_hash): each for each in world.items.stored.values()
    }
    pictures = {name for name in world.images.contents if name.startswith("images/")}
    assert pictures == set(made)
    assert {each.provenance.user_id for each in made.values()} == set(users)
    for name in pictures:
        file = world.images.contents[name]
        found = decode_provenance(file)
        assert found.source_type == GENERATED
        assert found.record is not None
        assert found.record.content_hash == made[name].provenance.content_hash
        assert is_unchanged(file, found.record)
        assert b"7f3" not in file


def test_a_picture_of_a_user_who_was_erased_meanwhile_leaves_no_trace() -> None:
    """It was made after the erasure, of likes from before; nobody would have erased it again."""
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    world.items.erase_user("ada", NOON)
    batch = worker.queue.take(worker.now_s())
    (outcome,) = worker.maker.make(batch)
    assert isinstance(outcome, Failed)
    assert outcome.is_final
    assert "the user was erased before the picture was ready" in str(outcome.error)
    assert world.images.contents == world.items.stored == {}


def test_a_result_that_outlived_an_erasure_is_removed_when_it_is_found() -> None:
    """A worker died between storing the result and putting the item."""
    world = World()
    world.likes("ada", 1, 2, 3)
    worker = Worker(world)
    worker.step()
    batch = worker.queue.take(worker.now_s())
    worker.maker.make(batch)
    world.items.stored.clear()
    world.items.users.clear()
    world.items.erase_user("ada", NOON)
    (outcome,) = worker.maker.make(batch)
    assert isinstance(outcome, Failed)
    assert world.images.contents == world.items.stored == {}


def test_who_comes_back_after_an_erasure_gets_pictures_again() -> None:
    world = World()
    world.likes("ada", 1, 2, 3)
    world.items.erase_user("ada", NOON)
    world.now_ms += 60_000
    events = [
        Interacted("ada", f"n{number}", NOON + 30_000 + number, f"item-{number:02d}", LIKE)
        for number in (4, 5, 6)
    ]
    world.learn("ada", Erased("ada", NOON), *events)
    Worker(world).run()
    assert len(world.items.of_user("ada", limit=9)) == len(world.published()) == 1
