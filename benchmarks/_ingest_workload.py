"""What `stream_ingest` measures with: events of many users, topics, and workers that read them.

In:  a Kafka cluster, sizes.
Out: topics with events on them; `stream ingest` workers as processes, and how far they are.
"""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from kafka_broker.cluster import Cluster
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.records import LIKE, SKIP
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.interaction_messages import JsonEvents

SEED = 0
NUM_ITEMS = 5000
EVENT_EVERY_MS = 10
OPEN_AT_MOST_MS = 800_000  # a transaction that hides events until all workers are ready
READY_WITHIN_S = 300.0  # imports take long on a busy machine
LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Stream:
    """Topics of one measurement, and the group that reads them."""

    cluster: Cluster
    events: str
    histories: str
    group: str
    num_partitions: int

    def places(self) -> list[TopicPartition]:
        """Return the partitions of the events."""
        return [TopicPartition(self.events, number) for number in range(self.num_partitions)]

    def done(self) -> dict[TopicPartition, int]:
        """Return how many records of each partition are committed as read."""
        found = self.cluster.admin.list_group_offsets([self.group])[self.group]
        return {place: found[place].offset for place in self.places() if place in found}

    def ends(self) -> dict[TopicPartition, int]:
        """Return where each partition ends."""
        with closing(KafkaConsumer(bootstrap_servers=self.cluster.bootstrap)) as consumer:
            ends: dict[TopicPartition, int] = consumer.end_offsets(self.places())
        return ends

    def is_shared_by(self, num_workers: int) -> bool:
        """Whether so many workers have divided the partitions among them."""
        group = self.cluster.admin.describe_groups([self.group])[self.group]
        return group["group_state"] == "Stable" and len(group["members"]) == num_workers


def new_stream(cluster: Cluster, num_partitions: int) -> Stream:
    """Make topics nobody else uses."""
    events = cluster.new_topic("interactions", num_partitions=num_partitions)
    letters = {events + SUFFIX: {"num_partitions": 1}}
    cluster.admin.create_topics(letters, wait_for_metadata=True)
    cluster.topics.extend(letters)
    histories = cluster.new_topic("histories", num_partitions=num_partitions)
    return Stream(cluster, events, histories, cluster.unique("ingest"), num_partitions)


def make_events(num_events: int, num_users: int) -> list[Interacted]:
    """Return events up to now; the n-th user has one for every n of the first user's."""
    chance = random.Random(SEED)
    weights = [1 / rank for rank in range(1, num_users + 1)]
    users = chance.choices(range(num_users), weights, k=num_events)
    start_ms = round(time.time() * 1000) - num_events * EVENT_EVERY_MS
    return [
        Interacted(
            f"user-{user:06d}",
            f"event-{number:09d}",
            start_ms + number * EVENT_EVERY_MS,
            f"item-{chance.randrange(NUM_ITEMS)}",
            chance.choice((LIKE, LIKE, SKIP)),
        )
        for number, user in enumerate(users)
    ]


def send(producer: KafkaProducer, topic: str, events: Sequence[Interacted]) -> None:
    """Send events and wait until they have arrived."""
    codec = JsonEvents()
    for event in events:
        producer.send(topic, key=event.user_id.encode(), value=codec.encode(event))
    producer.flush()


def fill(stream: Stream, events: Sequence[Interacted]) -> None:
    """Put events on the topic."""
    with closing(KafkaProducer(bootstrap_servers=stream.cluster.bootstrap)) as producer:
        send(producer, stream.events, events)


@contextmanager
def hidden(stream: Stream, events: Sequence[Interacted]) -> Iterator[Callable[[], None]]:
    """Put events on the topic where nobody sees them; what is yielded shows them all at once."""
    settings = {
        "bootstrap_servers": stream.cluster.bootstrap,
        "transactional_id": stream.cluster.unique("hidden"),
        "transaction_timeout_ms": OPEN_AT_MOST_MS,
    }
    with closing(KafkaProducer(**settings)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        send(producer, stream.events, events)
        yield producer.commit_transaction


@contextmanager
def workers(stream: Stream, store: Path, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run so many `stream ingest` processes; they are ready when the block begins."""
    command = [
        *(sys.executable, "-m", "pigeon_recsys.cli", "stream", "ingest"),
        *("--kafka", stream.cluster.bootstrap, "--store", str(store), "--group", stream.group),
        *("--events", stream.events, "--histories", stream.histories),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(count)
    ]
    try:
        wait_until(lambda: stream.is_shared_by(count), f"{count} workers share the partitions")
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def processor_s(processes: Sequence[subprocess.Popen[bytes]]) -> float:
    """Return the seconds of processor time that processes have used so far, on Linux."""
    ticks = 0
    for process in processes:
        after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])  # of the program, and for it
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = READY_WITHIN_S) -> float:
    """Wait until something is so and return the seconds it took; `TimeoutError` names it.

    Kafka may refuse a question for a while, such as one about a group that is new.
    """
    started = time.monotonic()
    while True:
        with suppress(KafkaError):
            if is_so():
                return time.monotonic() - started
        if time.monotonic() - started > within_s:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        time.sleep(LOOK_EVERY_S)
