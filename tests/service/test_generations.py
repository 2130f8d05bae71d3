"""Pictures on request: one job for one wish, found by its ticket from every process."""

import threading
from contextlib import suppress

import pytest

from pigeon_recsys.errors import (
    GenerationError,
    ImageStoreError,
    LogError,
    UnknownItem,
    UnknownUser,
)
from pigeon_recsys.generation.image_names import ticket_name
from pigeon_recsys.records import Reference
from pigeon_recsys.service.generation_making import WorkerMaking
from pigeon_recsys.service.generations import KEPT_S, Generations, Ticket
from pigeon_recsys.testing.fakes import FakeGenerator
from tests.service.processes import (
    CAT,
    DOG,
    HeldGenerator,
    Lines,
    Process,
    ended,
    wait_for,
)
from tests.streaming.pipeline import World


def test_a_ticket_comes_at_once_and_its_picture_later(
    world: World, opened: list[Generations]
) -> None:
    generator = HeldGenerator()
    generations = Process(world).with_pool(generator)
    opened.append(generations)
    ticket = generations.request("ada", CAT, seed=7)
    assert ticket.status == "queued"
    wait_for(lambda: generations.status(ticket.ticket_id), "running")
    waiting = generations.request("bob", CAT)
    assert generations.status(waiting.ticket_id).status == "queued"
    generator.let_go.set()
    done = ended(generations, ticket)
    assert done.item is not None
    assert done.item.provenance.user_id == "ada"
    assert done.item.provenance.reference == CAT
    assert done.item.job_key == ticket.ticket_id
    assert world.items.stored[done.item.item_id] == done.item
    assert ended(generations, waiting).status == "done"


def test_the_same_wish_is_one_job_and_another_seed_another(
    world: World, opened: list[Generations]
) -> None:
    generations = Process(world).with_pool()
    opened.append(generations)
    first = generations.request("ada", CAT)
    assert generations.request("ada", CAT).ticket_id == first.ticket_id
    done = ended(generations, first)
    assert generations.request("ada", CAT) == done
    other = ended(generations, generations.request("ada", CAT, seed=1))
    assert other.ticket_id != first.ticket_id
    assert len(world.generator.made) == 2


def test_another_process_and_one_after_a_restart_know_the_ticket(world: World) -> None:
    generator = HeldGenerator()
    first = Process(world).with_pool(generator)
    ticket = first.request("ada", CAT)
    other = Process(world).with_pool()
    assert other.status(ticket.ticket_id).status == "queued"
    assert other.request("ada", CAT).ticket_id == ticket.ticket_id  # which starts nothing
    generator.let_go.set()
    done = ended(first, ticket)
    first.close()
    assert other.status(ticket.ticket_id) == done
    other.close()
    assert world.generator.made == []


def test_what_nobody_finishes_is_lost_and_can_be_asked_for_again(
    world: World, opened: list[Generations]
) -> None:
    """The process that took it in dies; a minute later it counts as lost."""
    dead = WorkerMaking(Lines())
    ticket = Process(world, dead).generations().request("ada", CAT)
    process = Process(world)
    process.now_s += 61
    generations = process.with_pool()
    opened.append(generations)
    found = generations.status(ticket.ticket_id)
    assert (found.status, found.reason) == (
        "failed",
        "nobody has made it in 61 s. Ask for it again.",
    )
    generations.request("ada", CAT)
    assert ended(generations, ticket).status == "done"


@pytest.mark.parametrize("ends", ["lost", "failed"])
def test_a_ticket_without_a_picture_is_gone_in_a_day(world: World, ends: str) -> None:
    lines = Lines()
    process = Process(world, WorkerMaking(lines))
    generations = process.generations()
    lines.fails = ends == "failed"
    with suppress(LogError):
        generations.request("ada", CAT)
    (name,) = world.images.contents
    key = name.removeprefix("tickets/")[3:-5]
    process.now_s += KEPT_S
    assert generations.status(key).status == "failed"
    process.now_s += 1
    assert generations.status(key) == Ticket(key, "unknown")
    assert world.images.contents == {}


def test_a_failure_says_why_and_not_for_whom_and_is_tried_again_on_request(
    world: World, opened: list[Generations]
) -> None:
    generations = Process(world).with_pool(FakeGenerator(fails_for=["ada"]))
    opened.append(generations)
    ticket = ended(generations, generations.request("ada", CAT))
    assert ticket.status == "failed"
    assert ticket.reason.startswith("the fake generator fails for user ")
    assert "ada" not in world.images.contents[ticket_name(ticket.ticket_id)].decode()
    assert generations.request("ada", CAT).status == "queued"
    assert ended(generations, ticket).status == "failed"


def test_what_cannot_be_drawn_is_told_at_once(world: World, opened: list[Generations]) -> None:
    generations = Process(world).with_pool()
    opened.append(generations)
    with pytest.raises(UnknownUser):
        generations.request("nobody", CAT)
    with pytest.raises(UnknownItem):
        generations.request("ada", Reference("item-99"))
    world.learn("eve")
    with pytest.raises((GenerationError, UnknownUser)):
        generations.request("eve", CAT)
    assert world.images.contents == {}


@pytest.mark.parametrize("ticket_id", ["", "../../etc/passwd", "f" * 31, "F" * 32, "f" * 32, "é"])
def test_an_id_that_is_no_tickets_is_unknown(
    world: World, opened: list[Generations], ticket_id: str
) -> None:
    generations = Process(world).with_pool()
    opened.append(generations)
    assert generations.status(ticket_id) == Ticket(ticket_id, "unknown")


def test_a_ticket_or_a_result_that_cannot_be_read_is_none(
    world: World, opened: list[Generations]
) -> None:
    generations = Process(world).with_pool()
    opened.append(generations)
    ticket = ended(generations, generations.request("ada", CAT))
    for name in list(world.images.contents):
        if not name.startswith("images/"):
            world.images.contents[name] = b"{}"
    assert generations.status(ticket.ticket_id).status == "unknown"
    other = Process(world).with_pool()
    opened.append(other)
    other.request("ada", CAT)
    assert ended(other, ticket).status == "done"


def test_a_store_that_fails_is_told_and_starts_nothing(
    world: World, opened: list[Generations]
) -> None:
    generations = Process(world).with_pool()
    opened.append(generations)
    world.images.failures_left = 1
    with pytest.raises(ImageStoreError):
        generations.request("ada", CAT)
    assert ended(generations, generations.request("ada", CAT)).status == "done"


def test_many_threads_with_one_wish_start_one_job(world: World, opened: list[Generations]) -> None:
    generations = Process(world).with_pool()
    opened.append(generations)
    found: list[Ticket] = []
    threads = [
        threading.Thread(target=lambda: found.append(generations.request("ada", DOG)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.ticket_id for each in found}) == 1
    assert ended(generations, found[0]).status == "done"
    assert len(world.generator.made) == 1
