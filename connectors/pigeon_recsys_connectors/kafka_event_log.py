"""The event log on Kafka: a consumer group and a transactional producer as one worker.

In:  broker addresses, a consumer group, the topics to read, further client settings as they are.
Out: an `EventLog`: polled records, and transactions that write records and offsets together.

Every worker has a producer and a transactional id of its own. What keeps a worker whose
partitions have moved from committing is the group's generation, which the offsets of a
transaction carry (KIP-447), so workers may come and go without stable names. It is the generation
of the poll that gave the records: by the time of the commit a worker left behind may have left the
group, and Kafka takes offsets without a generation from anybody.
"""

import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pigeon_recsys.errors import LogError, MissingExtra, PartitionsMoved
from pigeon_recsys.streaming.event_log import NewRecord, Place, Record

try:
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
    from kafka.errors import (
        CommitFailedError,
        FencedInstanceIdError,
        IllegalGenerationError,
        InvalidProducerEpochError,
        KafkaError,
        ProducerFencedError,
        RebalanceInProgressError,
        UnknownMemberIdError,
    )
    from kafka.structs import OffsetAndMetadata
except ModuleNotFoundError as exc:
    raise MissingExtra("kafka", needed_for="the Kafka event log", library="kafka-python") from exc

MOVED = (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    ProducerFencedError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
MAX_POLLED = 2000  # records of a batch
SEND_TIMEOUT_S = 30.0
REACH_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0
IDLE_STEP_S = 0.2
NO_EPOCH = -1  # leader epoch of an offset; None makes kafka-python 3.0.12 wait for ever


class KafkaEventLog:
    """One worker's share of some topics. One thread uses it."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        reads: Sequence[str],
        *,
        max_polled: int = MAX_POLLED,
        consumer: Mapping[str, Any] | None = None,
        producer: Mapping[str, Any] | None = None,
    ) -> None:
        """Join the group. `consumer` and `producer` hold kafka-python settings, security too.

        Raises `LogError` when no broker answers.
        """
        self._producer_settings = {
            "bootstrap_servers": bootstrap,
            "transactional_id": f"{group}-{uuid.uuid4().hex}",
            **(producer or {}),
        }
        settings = {
            "bootstrap_servers": bootstrap,
            "group_id": group,
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "max_poll_records": max_polled,
            "partition_assignment_strategy": [CooperativeStickyAssignor],
            **(consumer or {}),
        }
        check_reachable(bootstrap)
        try:
            self._consumer = KafkaConsumer(**settings)
            self._producer = self._new_producer()
        except KafkaError as exc:
            raise LogError(f"no Kafka broker answers at {bootstrap}: {exc!r}") from exc
        self._consumer.subscribe(list(reads))
        self._membership = self._consumer.group_metadata()

    def poll(self, timeout_s: float) -> list[Record]:
        """Return records, in order within each partition; none once the time is up."""
        try:
            polled = self._consumer.poll(timeout_ms=round(timeout_s * 1000))
            self._membership = self._consumer.group_metadata()
        except KafkaError as exc:
            raise LogError(f"polling failed: {exc!r}") from exc
        return [
            Record(
                each.topic, each.partition, each.offset, each.key, each.value, tuple(each.headers)
            )
            for records in polled.values()
            for each in records
        ]

    def commit(self, read: Mapping[Place, int], new: Sequence[NewRecord]) -> None:
        """Write records and mark partitions as read in one transaction, or do neither."""
        if self._membership.generation_id < 0:
            raise PartitionsMoved("this worker is in no generation of its group")
        offsets = {
            TopicPartition(*place): OffsetAndMetadata(offset, "", NO_EPOCH)
            for place, offset in read.items()
        }
        try:
            self._producer.begin_transaction()
            sent = [
                self._producer.send(
                    record.topic,
                    key=record.key,
                    value=record.value,
                    partition=record.partition,
                    headers=list(record.headers),
                )
                for record in new
            ]
            for future in sent:
                future.get(timeout=SEND_TIMEOUT_S)
            self._producer.send_offsets_to_transaction(offsets, self._membership)
            self._producer.commit_transaction()
        except KafkaError as exc:
            self._abort()
            is_moved = isinstance(exc, MOVED)
            kind = PartitionsMoved if is_moved else LogError
            raise kind(f"a transaction of {len(new)} records failed: {exc!r}") from exc

    def rewind(self) -> None:
        """Go back to what is committed, in every partition this worker has."""
        try:
            for place in self._consumer.assignment():
                committed = self._consumer.committed(place)
                if committed is None:
                    self._consumer.seek_to_beginning(place)
                else:
                    self._consumer.seek(place, committed)
        except KafkaError as exc:
            raise LogError(f"going back to the committed offsets failed: {exc!r}") from exc

    def idle(self, seconds: float) -> None:
        """Wait with all partitions paused, polling so that the group keeps this worker."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._consumer.pause(*self._consumer.assignment())
            early = self.poll(min(left, IDLE_STEP_S))  # of partitions assigned in this very call
            for record in reversed(early):
                self._consumer.seek(TopicPartition(record.topic, record.partition), record.offset)
        self._consumer.resume(*self._consumer.paused())

    def close(self) -> None:
        """Leave the group at once."""
        self._producer.close(timeout=CLOSE_TIMEOUT_S)
        self._consumer.close(autocommit=False, timeout_ms=round(CLOSE_TIMEOUT_S * 1000))

    def _abort(self) -> None:
        """Abort the transaction; a producer that cannot is replaced, and its transaction lapses."""
        try:
            self._producer.abort_transaction()
        except KafkaError:
            self._producer.close(timeout=CLOSE_TIMEOUT_S)
            self._producer = self._new_producer()

    def _new_producer(self) -> KafkaProducer:
        producer = KafkaProducer(**self._producer_settings)
        producer.init_transactions()
        return producer


def check_reachable(bootstrap: str) -> None:
    """Raise `LogError` where nothing listens: a client that fails to connect leaves threads."""
    faults = []
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=REACH_TIMEOUT_S).close()
        except (OSError, ValueError) as exc:
            faults.append(f"{address}: {exc}")
        else:
            return
    raise LogError(f"no Kafka broker answers at {'; '.join(faults)}. Check the address.")
