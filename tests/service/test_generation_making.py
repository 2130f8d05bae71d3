"""Who makes pictures on request: threads here, closed and bounded, or the workers behind Kafka."""

import time

import pytest

from pigeon_recsys.errors import GeneratorBusy, LogError
from pigeon_recsys.generation.image_names import ticket_name
from pigeon_recsys.service.generation_making import PoolMaking, WorkerMaking
from pigeon_recsys.service.generations import Generations, Ticket
from pigeon_recsys.streaming.generation_requests import JsonRequests
from pigeon_recsys.streaming.making import ItemMaker
from tests.service.processes import (
    CAT,
    IMPATIENT,
    HeldGenerator,
    Lines,
    Process,
    ended,
    wait_for,
)
from tests.streaming.pipeline import REQUESTS, Worker, World


def test_a_full_queue_is_a_clear_error_and_makes_room_again(
    world: World, opened: list[Generations]
) -> None:
    generator = HeldGenerator()
    generations = Process(world).with_pool(generator, capacity=2)
    opened.append(generations)
    tickets = [generations.request("ada", CAT, seed) for seed in range(2)]
    with pytest.raises(GeneratorBusy, match="2 images wait to be made, 2 may. Ask again later"):
        generations.request("bob", CAT)
    assert generations.request("ada", CAT, 1) == tickets[1]  # which needs no room
    generator.let_go.set()
    for ticket in tickets:
        assert ended(generations, ticket).status == "done"
    wait_for(lambda: again(generations), "queued")


def again(generations: Generations) -> Ticket:
    try:
        return generations.request("bob", CAT)
    except GeneratorBusy:
        return Ticket("", "failed")


def test_an_erased_user_waits_for_nothing(world: World, opened: list[Generations]) -> None:
    generator = HeldGenerator()
    generations = Process(world).with_pool(generator)
    opened.append(generations)
    bobs = generations.request("bob", CAT)
    generator.is_working.wait(10)
    adas = [generations.request("ada", CAT, seed) for seed in range(3)]
    generations.forget("ada")
    generator.let_go.set()
    assert ended(generations, bobs).status == "done"
    time.sleep(0.1)
    assert {generations.status(each.ticket_id).status for each in adas} == {"unknown"}
    assert {each.provenance.user_id for each in world.items.stored.values()} == {"bob"}


def test_what_is_being_made_for_an_erased_user_leaves_no_ticket(
    world: World, opened: list[Generations]
) -> None:
    """Its end is no news: it failed, for its user was erased, and noted that on a new ticket."""
    generator = HeldGenerator()
    generations = Process(world).with_pool(generator)
    opened.append(generations)
    ticket = generations.request("ada", CAT)
    assert generator.is_working.wait(10)
    world.items.erase_user("ada", world.now_ms + 1_000)
    generations.forget("ada")
    generator.let_go.set()
    bobs = generations.request("bob", CAT)
    assert ended(generations, bobs).status == "done"
    assert generations.status(ticket.ticket_id).status == "unknown"
    assert ticket_name(ticket.ticket_id) not in world.images.contents


def test_closing_is_quick_and_takes_no_more(world: World) -> None:
    generator = HeldGenerator()
    process = Process(world)
    maker = ItemMaker(generator, world.stage, stop=generator.let_go.set)
    making = PoolMaking([maker], process.tickets, 8, IMPATIENT)
    process.making = making
    generations = process.generations()
    generations.request("ada", CAT)
    started_s = time.monotonic()
    generations.close()
    assert time.monotonic() - started_s < 2
    with pytest.raises(GeneratorBusy):
        generations.request("bob", CAT)


def test_behind_kafka_a_worker_makes_it_and_the_ticket_finds_it(world: World) -> None:
    generations = Process(world, WorkerMaking(Lines(world), REQUESTS)).generations()
    ticket = generations.request("ada", CAT, seed=3)
    assert generations.status(ticket.ticket_id).status == "queued"
    Worker(world).run()
    done = generations.status(ticket.ticket_id)
    assert done.item is not None
    assert (done.item.job_key, done.item.reason) == (ticket.ticket_id, "request")


def test_behind_kafka_a_request_is_sent_once_and_keyed_by_user(world: World) -> None:
    lines = Lines()
    generations = Process(world, WorkerMaking(lines, REQUESTS)).generations()
    generations.request("ada", CAT, seed=3)
    generations.request("ada", CAT, seed=3)
    (record,) = lines.records
    request = JsonRequests().decode(record.value or b"")
    assert (record.topic, record.key) == (REQUESTS, b"ada")
    assert (request.user_id, request.reference, request.seed) == ("ada", CAT, 3)
    generations.forget("ada")
    generations.close()
    assert lines.is_closed


def test_where_the_log_fails_the_ticket_has_failed_and_can_be_asked_for_again(
    world: World,
) -> None:
    lines = Lines()
    generations = Process(world, WorkerMaking(lines)).generations()
    lines.fails = True
    with pytest.raises(LogError, match="no broker answers"):
        generations.request("ada", CAT)
    (name,) = world.images.contents
    key = name.removeprefix("tickets/")[3:-5]
    told = "LogError, which the log explains"
    assert generations.status(key) == Ticket(key, "failed", reason=told)
    lines.fails = False
    assert generations.request("ada", CAT).status == "queued"
