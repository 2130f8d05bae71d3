"""The event log on Kafka: a consumer group and a transactional producer as one worker.

In:  broker addresses, a consumer group, the topics to read, further client settings as they are.
Out: an `EventLog`: polled records, and transactions that write records and offsets together.

Every worker has a producer and a transactional id of its own. What keeps a worker whose
partitions have moved from committing is the group's generation, which the offsets of a
transaction carry (KIP-447), so workers may come and go without stable names. It is the generation
of the poll that gave the records: by the time of the commit a worker left behind may have left the
group, and Kafka takes offsets without a generation from anybody.
"""

import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pigeon_recsys.errors import LogError, MissingExtra, PartitionsMoved
from pigeon_recsys.streaming.event_log import NewRecord, Place, Record

try:
    from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
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
    from kafka.structs import MemberState, OffsetAndMetadata

    from pigeon_recsys_connectors.kafka_admission import check_admitted
    from pigeon_recsys_connectors.kafka_assignor import CopartitioningAssignor
    from pigeon_recsys_connectors.kafka_contents import partition_contents
    from pigeon_recsys_connectors.kafka_joining import mend_joining
    from pigeon_recsys_connectors.kafka_transactions import (
        CLOSE_TIMEOUT_S,
        TRANSACTION_TIMEOUT_S,
        Transactions,
    )
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
# How long others wait for a worker that was killed: at most the first, and the second too where it
# died inside a transaction.
SESSION_TIMEOUT_S = 8.0
# States are JSON of many like places: packed they are a tenth, which is less to send, to keep and
# to sum up, and kafka-python sums in Python. Large batches pack better.
BATCHES = {"compression_type": "gzip", "batch_size": 1 << 18, "linger_ms": 5}
MAX_POLLED = 5000  # records of a batch: a transaction has a fixed cost
IDLE_STEP_S = 0.2
LAG_TIMEOUT_MS = 5_000
OFFSETS_TIMEOUT_MS = 30_000  # without one kafka-python waits for ever
RECONNECT_S = 2.0  # at most, between two tries; the default is 30 s
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
        security: Mapping[str, Any] | None = None,
        consumer: Mapping[str, Any] | None = None,
        producer: Mapping[str, Any] | None = None,
    ) -> None:
        """Join the group. The mappings hold kafka-python settings; `security` is for all clients.

        Raises `LogError` when no broker answers or lets this client in.
        """
        self._client_settings = {
            "bootstrap_servers": bootstrap,
            "reconnect_backoff_max_ms": round(RECONNECT_S * 1000),
            **(security or {}),
        }
        producer_settings = {
            **self._client_settings,
            "transactional_id": f"{group}-{uuid.uuid4().hex}",
            "transaction_timeout_ms": round(TRANSACTION_TIMEOUT_S * 1000),
            **BATCHES,
            **(producer or {}),
        }
        assignor = CopartitioningAssignor()
        settings = {
            **self._client_settings,
            "group_id": group,
            "isolation_level": "read_committed",
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "max_poll_records": max_polled,
            "session_timeout_ms": round(SESSION_TIMEOUT_S * 1000),
            "heartbeat_interval_ms": round(SESSION_TIMEOUT_S * 1000 / 4),
            "partition_assignment_strategy": [assignor],
            **(consumer or {}),
        }
        check_admitted(bootstrap, security)
        try:
            self._consumer = KafkaConsumer(**settings)
            mend_joining(self._consumer, assignor.disown)
            self._transactions = Transactions(producer_settings)
        except KafkaError as exc:
            raise LogError(f"no Kafka broker answers at {bootstrap}: {exc!r}") from exc
        self._tenures = _Tenures()
        self._consumer.subscribe(list(reads), listener=self._tenures)
        self._open: dict[Place, tuple[int, int]] = {}  # polled, not committed: from, up to
        self._membership = self._consumer.group_metadata()
        self._member_id = ""  # by which the partitions are held
        self._done: dict[TopicPartition, tuple[int, int]] = {}  # tenure, and what it committed

    def poll(self, timeout_s: float) -> list[Record]:
        """Return records, in order within each partition; none once the time is up."""
        before = self._tenures.number.copy()
        try:
            polled = self._consumer.poll(timeout_ms=round(timeout_s * 1000))
            self._membership = self._consumer.group_metadata()
        except KafkaError as exc:
            raise LogError(f"polling failed: {exc!r}") from exc
        has_joined = self._membership.state == MemberState.STABLE
        if has_joined and self._membership.member_id != self._member_id:
            self._member_id = self._membership.member_id
            if self._tenures.renew(before):
                self.rewind()
                return []
        for place, records in polled.items():
            start, _ = self._open.get(place, (records[0].offset, 0))
            self._open[place] = start, records[-1].offset + 1
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
        if self._membership.member_id != self._member_id:
            raise PartitionsMoved("this worker's partitions are those of the member it was before")
        try:
            marks = {TopicPartition(*place): offset for place, offset in read.items()}
            offsets = {
                place: OffsetAndMetadata(offset, "", NO_EPOCH)
                for place, offset in (marks or self._marked()).items()
            }
            self._transactions.run(new, offsets, self._membership)
        except KafkaError as exc:
            is_moved = isinstance(exc, MOVED)
            kind = PartitionsMoved if is_moved else LogError
            raise kind(f"a transaction of {len(new)} records failed: {exc!r}") from exc
        for place, offset in marks.items():
            self._done[place] = self._tenures.number.get(place, 0), offset
        for place, offset in read.items():
            _, end = self._open.pop(place, (0, 0))
            if offset < end:
                self._open[place] = offset, end

    def held(self) -> dict[Place, int]:
        """Return the partitions this worker has, each with the number of its tenure."""
        return {
            (place.topic, place.partition): self._tenures.number[place]
            for place in self._consumer.assignment()
            if place in self._tenures.number
        }

    def contents(self, topic: str, partitions: Collection[int]) -> Iterator[Record]:
        """Yield all committed records of some partitions, in order within each."""
        return partition_contents(self._client_settings, topic, partitions)

    def num_partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        try:
            numbers = self._consumer.partitions_for_topic(topic)
        except KafkaError as exc:
            raise LogError(f"asking for the partitions of {topic} failed: {exc!r}") from exc
        if not numbers:
            raise LogError(
                f"there is no topic {topic!r}. Make it with: pigeon-recsys stream topics"
            )
        return len(numbers)

    def rewind(self) -> None:
        """Go back to what is committed, in every partition this worker has."""
        self._open.clear()
        try:
            for place in self._consumer.assignment():
                committed = self._consumer.committed(place, timeout_ms=OFFSETS_TIMEOUT_MS)
                if committed is None:
                    self._consumer.seek_to_beginning(place)
                else:
                    self._consumer.seek(place, committed)
        except KafkaError as exc:
            raise LogError(f"going back to the committed offsets failed: {exc!r}") from exc

    def ends(self) -> dict[Place, int]:
        """Return where each partition ends; asks the brokers, for `LAG_TIMEOUT_MS` at most."""
        ends = self._ends(self._consumer.assignment())
        return {(place.topic, place.partition): offset for place, offset in ends.items()}

    def lag(self) -> dict[Place, int]:
        """Return how many records wait; asks the brokers, for `LAG_TIMEOUT_MS` at most each.

        Counted from the position, which passes what transactions leave behind in a partition, and
        the committed offset does not.
        """
        places = self._consumer.assignment()
        self._open = {place: each for place, each in self._open.items() if place in places}
        if not places:
            return {}
        ends = self._ends(places)
        try:
            starts = {place: self._consumer.position(place, LAG_TIMEOUT_MS) for place in places}
        except KafkaError as exc:
            raise LogError(f"asking how far the partitions are read failed: {exc!r}") from exc
        for place, (start, _) in self._open.items():
            starts[place] = start
        return {
            (place.topic, place.partition): max(0, ends[place] - start)
            for place, start in starts.items()
            if start is not None  # the group's offset has not been told yet
        }

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
        self._transactions.close()
        self._consumer.close(autocommit=False, timeout_ms=round(CLOSE_TIMEOUT_S * 1000))

    def _ends(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        try:
            ends: dict[TopicPartition, int] = self._consumer.end_offsets(
                list(places), timeout_ms=LAG_TIMEOUT_MS
            )
        except KafkaError as exc:
            raise LogError(f"asking where the partitions end failed: {exc!r}") from exc
        return ends

    def _marked(self) -> dict[TopicPartition, int]:
        """Return how far one partition of this worker's has been read: what fences a transaction.

        The broker checks the group's generation only where offsets are among what is committed.
        """
        place = min(self._consumer.assignment(), default=None)
        if place is None:
            raise PartitionsMoved("this worker has no partition")
        tenure = self._tenures.number[place]
        if self._done.get(place, (None,))[0] != tenure:
            committed = self._consumer.committed(place, timeout_ms=OFFSETS_TIMEOUT_MS)
            self._done[place] = tenure, committed or 0
        return {place: self._done[place][1]}


class _Tenures(ConsumerRebalanceListener):  # type: ignore[misc]
    """Numbers the times that partitions were given to this worker.

    kafka-python 3.0 does not tell of partitions that are lost while it joins: thrown out then, it
    goes on with those that it is given again as if they had not been another's in between.
    """

    def __init__(self) -> None:
        self.number: dict[TopicPartition, int] = {}
        self._count = 0

    def renew(self, before: Mapping[TopicPartition, int]) -> bool:
        """Begin the tenures anew that are as they were; say whether there are any."""
        kept = [place for place, number in self.number.items() if before.get(place) == number]
        self.on_partitions_assigned(kept)
        return bool(kept)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._count += 1
        self.number.update(dict.fromkeys(assigned, self._count))

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        for place in revoked:
            self.number.pop(place, None)
