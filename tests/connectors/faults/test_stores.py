"""Stores are locked, gone or full for a while: workers wait, and nothing is lost or done twice."""

import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kafka_broker.cluster import Cluster
from tests.connectors.faults.crew import Crew, crew
from tests.connectors.faults.journal import MADE, STORED, Journal
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, wait_until
from tests.connectors.servers import Redis

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 8
NUM_RECORDS, NUM_USERS, NUM_REQUESTS = 1_500, 40, 60
OUTAGE_S = 10.0
DEADLINE_S = 120.0
MAX_FILE_BYTES = 250_000  # while pictures find no room; more than the database, less than a picture
SIDE = 400  # pixels: such a picture takes 350 kB


@contextmanager
def locked(plant: Plant) -> Iterator[None]:
    """Hold the lock of a database as a backup that hangs would."""
    (database,) = (plant.feast / "data").glob("online.db")
    with closing(sqlite3.connect(database, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def frozen(redis: Redis) -> Iterator[None]:
    """Let a server answer nobody."""
    told: Any = redis.client().info("server")
    pid = int(told["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def survive(
    plant: Plant, sender: Sender, outage: Callable[[], AbstractContextManager[None]]
) -> tuple[dict[str, int], dict[str, float]]:
    """Let workers work through an outage of the online store; return the counts."""
    plant = replace(plant, picture_s=0.02)
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "ingest", "generate", "generate") as workers:
        sender.send(mix.sent(mix.likes(users, 1)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        requests = [mix.request(mix.chance.choice(users), n) for n in range(NUM_REQUESTS)]
        sent = mix.sent(mix.mingled(mix.flow(NUM_RECORDS, users, []), mix.bad(1) + requests))
        sender.begin(sent[: len(sent) // 3])
        with outage():
            sender.begin(sent[len(sent) // 3 :])
            time.sleep(OUTAGE_S)
            workers.check_alive()
        sender.finish()
        recovery_s = wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        stop_s = workers.stop()
    return Verdict(plant, mix).check(), {"recovery_s": recovery_s, "stop_s": stop_s}


def test_an_online_store_locked_for_a_while_loses_nothing(
    plant: Plant, sender: Sender, tell: Callable[..., None]
) -> None:
    counts, times = survive(plant, sender, lambda: locked(plant))
    tell(counts, outage_s=OUTAGE_S, seed=SEED, **times)


def test_a_store_server_gone_for_a_while_loses_nothing(
    kafka: Cluster, tmp_path: Path, redis: Redis, on_redis: Path, tell: Callable[..., None]
) -> None:
    plant = Plant.build(kafka, tmp_path, on_redis)
    with Sender.to(kafka.bootstrap) as sender:
        counts, times = survive(plant, sender, lambda: frozen(redis))
    tell(counts, outage_s=OUTAGE_S, seed=SEED, **times)


@contextmanager
def no_folder(plant: Plant, workers: Crew) -> Iterator[None]:
    """Put a file in the place of the folder of pictures."""
    away = plant.images.rename(plant.images.with_name("away"))
    plant.images.touch()
    yield
    plant.images.unlink()
    away.rename(plant.images)


@contextmanager
def no_room(plant: Plant, workers: Crew) -> Iterator[None]:
    """Let the generate workers write small files alone, as a quota does."""
    limit(workers, MAX_FILE_BYTES)
    yield
    limit(workers, resource.RLIM_INFINITY)


def limit(workers: Crew, max_bytes: int) -> None:
    """Limit the size of the files that generate workers write."""
    for worker in workers.of("generate"):
        assert worker.process.pid is not None
        limits = max_bytes, resource.RLIM_INFINITY
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("outage", [no_folder, no_room])
def test_an_image_store_that_takes_nothing_for_a_while_costs_no_picture(
    plant: Plant,
    sender: Sender,
    tell: Callable[..., None],
    outage: Callable[[Plant, Crew], AbstractContextManager[None]],
) -> None:
    """Each picture is made once: it is kept until the store takes it."""
    plant = replace(plant, side=SIDE)
    mix = Mix.of(plant, SEED)
    journal = Journal(plant.journal)
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "generate", "generate") as workers:
        sender.send(mix.sent(mix.likes(users[:2], 3)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        num_stored = journal.num(STORED)
        with outage(plant, workers):
            sender.send(mix.sent(mix.likes(users[2:], 3)))
            if outage is no_room:
                wait_until(lambda: _too_few_made(journal, NUM_USERS), DEADLINE_S, plant)
            else:  # not even what was stored before can be looked up, so nothing is made
                wait_until(lambda: _too_few_in_hand(plant, NUM_USERS - 2), DEADLINE_S, plant)
            assert journal.num(STORED) == num_stored
            workers.check_alive()
        recovery_s = wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        stop_s = workers.stop()
    counts = Verdict(plant, mix).check()
    assert counts["made again"] == 0
    tell(counts, seed=SEED, recovery_s=recovery_s, stop_s=stop_s)


def _too_few_made(journal: Journal, wanted: int) -> str:
    made = journal.num(MADE)
    return "" if made >= wanted else f"{made} of {wanted} pictures are made"


def _too_few_in_hand(plant: Plant, wanted: int) -> str:
    found = Watch(plant).num_in_hand
    return "" if found >= wanted else f"{found} of {wanted} jobs are in hand"
