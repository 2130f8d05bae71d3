"""The event log as a worker sees it: records to read, and one transaction that ends a batch.

A connector supplies it (Kafka: consumer group and transactional producer in one); the core
states what it needs. `pigeon_recsys.testing` has a log in memory and the contract test.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

Place = tuple[str, int]  # topic and partition


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class NewRecord:
    """One record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None  # None: by the key
    headers: tuple[tuple[str, bytes], ...] = field(default=())


@runtime_checkable
class EventLog(Protocol):
    """One worker's share of the topics it reads."""

    def poll(self, timeout_s: float) -> list[Record]:
        """Return records, in order within each partition; none once the time is up.

        Only what committed transactions wrote is returned. Partitions are given up and taken
        over inside this call alone. Raises `LogError`.
        """

    def held(self) -> dict[Place, int]:
        """Return the partitions this worker has since the last poll, and each one's tenure.

        A tenure is another number whenever the partition was given up or lost in between.
        """

    def contents(self, topic: str, partitions: Collection[int]) -> Iterator[Record]:
        """Yield all that committed transactions wrote to partitions, in order within each.

        What transactions of former owners of the partitions held have written is among it.
        Raises `LogError`.
        """

    def num_partitions(self, topic: str) -> int:
        """Return how many partitions a topic has. Raises `LogError` without it."""

    def commit(self, read: Mapping[Place, int], new: Sequence[NewRecord]) -> None:
        """In one transaction, write records and mark partitions as read up to the offsets.

        All of it or nothing, and by an owner of its partitions alone, also where nothing was read.
        Raises `PartitionsMoved` where a partition is another worker's by now, `LogError` where the
        log fails; the caller then calls `rewind`.
        """

    def rewind(self) -> None:
        """Forget what was polled since the last commit: it is polled again."""

    def ends(self) -> dict[Place, int]:
        """Return the offset at which the next record of each partition held will lie.

        What open transactions have written lies behind it. Raises `LogError`.
        """

    def lag(self) -> dict[Place, int]:
        """Return how many records of each partition this worker has are not committed as read.

        What open transactions hide is not counted; what a log keeps beside the records may be,
        until it is polled past. Raises `LogError`.
        """

    def idle(self, seconds: float) -> None:
        """Wait without reading, and stay a member of the group."""

    def close(self) -> None:
        """Leave the group at once, so that others take over without waiting."""


@runtime_checkable
class RecordWriter(Protocol):
    """Writes records without reading any: a producer of events or requests. Threads share it.

    After a failed write the next one is tried anew.
    """

    def write(self, new: Sequence[NewRecord]) -> None:
        """Write all records, in order within each key, or none. Raises `LogError`."""

    def close(self) -> None:
        """Let go of the connection."""


def read_up_to(records: Iterable[Record]) -> dict[Place, int]:
    """Return the offset after the last of the records, by partition: what `commit` takes."""
    ends: dict[Place, int] = {}
    for record in records:
        place = record.topic, record.partition
        ends[place] = max(ends.get(place, 0), record.offset + 1)
    return ends
