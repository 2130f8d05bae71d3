"""How far the workers have come: what is committed, what still waits, who has a job in hand.

In:  a plant whose workers are at work.
Out: in words, what is still missing; nothing once all is done.
"""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from kafka_broker.connection import connect
from kafka_broker.errors import BrokerError
from pigeon_recsys.streaming.user_demand import UserDemand
from tests.connectors.faults.plant import NUM_PARTITIONS, Plant

LOOK_S = 0.3
NUM_TRIES = 60
LOG_LINES = 12  # of each worker, where waiting was in vain


def wait_until(
    missing: Callable[[], str], timeout_s: float, plant: Plant, look_s: float = LOOK_S
) -> float:
    """Wait until nothing is missing, and return the seconds that took; fail naming what is."""
    started_s = time.monotonic()
    while told := missing():
        waited_s = time.monotonic() - started_s
        if waited_s > timeout_s:
            pytest.fail(f"after {waited_s:.0f} s: {told}\n{last_words(plant)}", pytrace=False)
        time.sleep(look_s)
    return time.monotonic() - started_s


def last_words(plant: Plant) -> str:
    """Return the end of every worker's log."""
    logs = sorted(plant.logs.iterdir(), key=lambda path: path.stat().st_mtime)
    return "\n".join(
        f"{path.name}:\n  "
        + "\n  ".join(path.read_text(errors="replace").splitlines()[-LOG_LINES:])
        for path in logs[-6:]
    )


def offsets(plant: Plant, role: str) -> dict[TopicPartition, int]:
    """Return what the group of a role has committed; a broker may just be coming back."""
    group = plant.group(role)
    for _ in range(NUM_TRIES):
        try:
            with closing(connect(plant.bootstrap)) as admin:
                found = admin.list_group_offsets([group])[group]
            break
        except (KafkaError, BrokerError) as exc:
            failed = exc
            time.sleep(LOOK_S)
    else:
        raise failed
    return {place: each.offset for place, each in found.items() if each.offset >= 0}


def num_read(plant: Plant, role: str, topic: str) -> int:
    """Return how many records of a topic without transactions a group has read."""
    return sum(offset for place, offset in offsets(plant, role).items() if place.topic == topic)


class Watch:
    """Follows a plant; reads each record of its state topic once."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._users: dict[bytes, UserDemand] = {}
        self._next: dict[TopicPartition, int] = {}

    def unfinished(self) -> str:
        """Say what is left to do, nothing when all is done."""
        try:
            return self.unread_by("ingest") or self.unread_by("generate") or self._undone()
        except (KafkaError, BrokerError) as exc:
            return f"an answer of the broker: {exc!r}"

    @property
    def num_in_hand(self) -> int:
        """How many users have a job in hand."""
        self._follow()
        return sum(user.job is not None for user in self._users.values())

    def unread_by(self, role: str) -> str:
        """Say which partitions have records behind what a group has committed."""
        committed = offsets(self.plant, role)
        places = [
            TopicPartition(t, n) for t in self.plant.reads[role] for n in range(NUM_PARTITIONS)
        ]
        behind = unread(self.plant.bootstrap, {each: committed.get(each, 0) for each in places})
        return f"{role} has not committed {len(behind)} partitions, {behind[0]}" if behind else ""

    def _undone(self) -> str:
        """Say how many users have a job in hand, or are to get one now."""
        self._follow()
        now_ms = time.time_ns() // 1_000_000
        in_hand = [user.job.key for user in self._users.values() if user.job]
        due = [
            user.user_id
            for user in self._users.values()
            if user.decide(now_ms, 1.0, self.plant.trigger).action == "now"
        ]
        if not in_hand and not due:
            return ""
        return f"{len(in_hand)} jobs are in hand {in_hand[:3]}, {len(due)} are due {due[:3]}"

    def _follow(self) -> None:
        """Read what is new on the topic of generation state."""
        topic = self.plant.topics.state
        places = [TopicPartition(topic, number) for number in range(NUM_PARTITIONS)]
        with closing(_reader(self.plant.bootstrap)) as consumer:
            consumer.assign(places)
            for place in places:
                consumer.seek(place, self._next.get(place, 0))
            ends = consumer.end_offsets(places)
            while any(consumer.position(place) < ends[place] for place in places):
                for records in consumer.poll(timeout_ms=200).values():
                    for record in records:
                        self._learn(record)
            self._next = {place: consumer.position(place) for place in places}

    def _learn(self, record: Any) -> None:
        self._users.pop(record.key, None)
        if record.value:
            self._users[record.key] = UserDemand.from_bytes(record.value)


def unread(bootstrap: str, committed: dict[TopicPartition, int]) -> list[TopicPartition]:
    """Return the partitions with a record behind an offset; what ends a transaction is none."""
    with closing(_reader(bootstrap)) as consumer:
        ends = consumer.end_offsets(list(committed))
        doubtful = [place for place, offset in committed.items() if offset < ends[place]]
        if not doubtful:
            return []
        consumer.assign(doubtful)
        for place in doubtful:
            consumer.seek(place, committed[place])
        while any(consumer.position(place) < ends[place] for place in doubtful):
            if polled := consumer.poll(timeout_ms=200):
                return list(polled)
    return []


def _reader(bootstrap: str) -> KafkaConsumer:
    return KafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
