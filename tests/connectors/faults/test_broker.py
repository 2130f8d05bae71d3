"""The broker is killed and comes back on its data; the workers' processes live through it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kafka_broker.broker import Broker
from kafka_broker.cluster import Cluster
from kafka_broker.connection import connect
from pigeon_recsys.streaming.event_log import NewRecord
from tests.connectors.faults.crew import crew
from tests.connectors.faults.mix import Mix
from tests.connectors.faults.plant import Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.faults.verdict import Verdict
from tests.connectors.faults.watch import Watch, num_read, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SEED = 6
NUM_RECORDS, NUM_USERS, NUM_REQUESTS, NUM_KILLS = 3_000, 40, 60, 2
DEADLINE_S = 120.0
STOP_ALONE_S = 20.0  # from SIGTERM on, without a broker: a transaction may have to time out


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of the test's own."""
    with Broker.start() as found:
        yield found


@pytest.fixture
def plant(broker: Broker, tmp_path: Path, empty_store: Path) -> Plant:
    """A plant on that broker."""
    with closing(connect(broker.bootstrap)) as admin:
        return Plant.build(Cluster(broker.bootstrap, admin), tmp_path, empty_store)


def test_a_broker_killed_and_restarted_twice_loses_nothing(
    broker: Broker, plant: Plant, tell: Callable[..., None]
) -> None:
    """No orchestrator is needed: each worker opens the log anew, in the process that it has."""
    plant = replace(plant, picture_s=0.02)
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "ingest", "generate", "generate") as workers:
        send(plant, mix.sent(mix.likes(users, 3)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        requests = [mix.request(mix.chance.choice(users), n) for n in range(NUM_REQUESTS)]
        flow = mix.flow(NUM_RECORDS, users, [])
        sent = mix.sent(mix.mingled(flow, mix.bad(2) + requests))
        size = -(-len(sent) // (NUM_KILLS + 1))
        for number in range(NUM_KILLS + 1):
            missing = progress(plant)
            send(plant, sent[number * size : (number + 1) * size])
            if number < NUM_KILLS:
                wait_until(missing, DEADLINE_S, plant)  # the kill is to meet them at work
                broker.kill()
                mix.pause(3.0)
                broker.restart()
        recovery_s = wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        workers.check_alive()
        stop_s = workers.stop()
    counts = Verdict(plant, mix).check()
    tell(counts, broker_kills=NUM_KILLS, seed=SEED, recovery_s=recovery_s, stop_s=stop_s)


def test_workers_stop_in_time_though_their_broker_is_gone(
    broker: Broker, plant: Plant, tell: Callable[..., None]
) -> None:
    plant = replace(plant, picture_s=0.02)
    mix = Mix.of(plant, SEED)
    users = [f"u{number}" for number in range(NUM_USERS)]
    with crew(plant, "ingest", "generate") as workers:
        send(plant, mix.sent(mix.likes(users, 1)))
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        send(plant, mix.sent(mix.likes(users, 3, first=1)))
        broker.kill()
        stop_s = workers.stop(STOP_ALONE_S)
    broker.restart()
    with crew(plant, "ingest", "generate") as workers:
        wait_until(Watch(plant).unfinished, DEADLINE_S, plant)
        workers.stop()
    tell(Verdict(plant, mix).check(), seed=SEED, stop_s=stop_s)


def send(plant: Plant, records: Sequence[NewRecord]) -> None:
    """Send records and hang up: kafka-python leaves sockets open that find no broker."""
    with Sender.to(plant.bootstrap) as sender:
        sender.send(records)


def progress(plant: Plant) -> Callable[[], str]:
    """Return what says that ingest has committed nothing more since now."""
    before = num_read(plant, "ingest", plant.topics.events)

    def missing() -> str:
        now = num_read(plant, "ingest", plant.topics.events)
        return "" if now > before else f"ingest still stands at {now} records"

    return missing
