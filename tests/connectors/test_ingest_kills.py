"""Ingest on a real Kafka and Feast: workers are killed, and every event still counts once."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient, KafkaProducer

from kafka_broker.cluster import Cluster
from pigeon_recsys.history.events import HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from tests.connectors.test_kafka_event_log import read_all

NUM_EVENTS, NUM_USERS, NUM_PARTITIONS = 3000, 40, 6
NUM_KILLS, NUM_WORKERS = 5, 2
DEADLINE_S = 180
START_MS = 1_767_225_600_000
BAD = (b"no event", b'{"version": 9}', b"x" * 20_000)


@dataclass(frozen=True)
class Topics:
    events: str
    changelog: str


def make_topics(kafka: Cluster) -> Topics:
    events = kafka.new_topic("interactions", num_partitions=NUM_PARTITIONS)
    kafka.admin.create_topics({events + SUFFIX: {"num_partitions": 1}}, wait_for_metadata=True)
    kafka.topics.append(events + SUFFIX)
    return Topics(events, kafka.new_topic("histories", num_partitions=NUM_PARTITIONS))


def make_events(chance: random.Random) -> list[HistoryEvent]:
    """Return likes of many users, some taken back; order and repetition are added when sent."""
    events: list[HistoryEvent] = []
    for number in range(NUM_EVENTS):
        user_id, at_ms = f"user {chance.randrange(NUM_USERS)} é", START_MS + chance.randrange(10**6)
        events.append(Interacted(user_id, f"e{number}", at_ms, f"i{number % 97}", LIKE))
        if number % 10 == 0:
            events.append(TakenBack(user_id, f"e{number}", at_ms))
    return events


@contextmanager
def workers(kafka: Cluster, group: str, topics: Topics, folder: Path) -> Iterator["Workers"]:
    found = Workers([kafka.bootstrap, group, topics.events, topics.changelog, str(folder)])
    try:
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.communicate()


class Workers:
    """Processes that work; one killed is followed by another."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self.processes = [self._start() for _ in range(NUM_WORKERS)]

    def kill(self, chance: random.Random) -> None:
        place = chance.randrange(len(self.processes))
        self.processes[place].kill()
        self.processes[place].communicate()
        self.processes[place] = self._start()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.connectors.ingest_worker", *self._arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        return process


def wait_until_read(kafka: Cluster, group: str, num_records: int) -> None:
    """Wait until the group's offsets add up to all records."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    deadline = time.monotonic() + DEADLINE_S
    done = 0
    while done < num_records:
        assert time.monotonic() < deadline, f"{done} of {num_records} records in {DEADLINE_S} s"
        time.sleep(0.2)
        offsets = admin.list_group_offsets([group])[group]
        done = sum(max(0, each.offset) for each in offsets.values())
    admin.close()
    assert done == num_records


def test_killed_workers_lose_nothing_and_count_nothing_twice(
    kafka: Cluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    chance = random.Random(0)
    topics, group = make_topics(kafka), kafka.unique("ingest")
    store = FeastHistoryStore.create(tmp_path / "feast", [])
    events = make_events(chance)
    sent = [(e.user_id.encode(), JsonEvents().encode(e)) for e in events]
    sent += chance.sample(sent, len(sent) // 10)  # duplicates
    sent += [(b"user 1", value) for value in BAD]
    chance.shuffle(sent)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    with workers(kafka, group, topics, tmp_path / "feast") as crew:
        slices = NUM_KILLS + 1
        for number in range(slices):
            for key, value in sent[number::slices]:
                producer.send(topics.events, key=key, value=value)
            producer.flush()
            if number < NUM_KILLS:
                time.sleep(chance.uniform(0, 0.5))
                crew.kill(chance)
        wait_until_read(kafka, group, len(sent))
    producer.close()

    users = sorted({event.user_id for event in events})
    expected = {
        user_id: HistoryState.empty(user_id).merged(e for e in events if e.user_id == user_id)
        for user_id in users
    }
    assert store.states(users) == expected
    states = [HistoryState.from_bytes(r.value or b"") for r in read_all(kafka, topics.changelog)]
    assert {state.user_id: state for state in states} == expected
    letters = read_all(kafka, topics.events + SUFFIX)
    assert sorted(letter.value or b"" for letter in letters) == sorted(BAD)
    counts = {"records": len(sent), "kills": NUM_KILLS, "histories": len(users)}
    record_property("counts", counts | {"dead letters": len(letters)})
