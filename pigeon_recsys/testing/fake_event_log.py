"""An event log in memory: topics with partitions, one consumer group, transactions, faults.

topics = FakeTopics({"interactions": 3})
topics.write([NewRecord("interactions", b"ada", b"...")])
log = FakeEventLog(topics, ["interactions"])
"""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence

from pigeon_recsys.errors import LogError, PartitionsMoved
from pigeon_recsys.streaming.event_log import NewRecord, Place, Record

MAX_POLLED = 100  # records


class FakeTopics:
    """What a broker keeps: records of every partition, and how far the group has read."""

    def __init__(self, num_partitions: Mapping[str, int]) -> None:
        self._records: dict[Place, list[Record]] = {
            (topic, partition): []
            for topic, count in num_partitions.items()
            for partition in range(count)
        }
        self.committed: dict[Place, int] = {}
        self.owner: FakeEventLog | None = None  # the worker that has the partitions

    def write(self, new: Sequence[NewRecord]) -> None:
        """Append records, or none of them where one has no topic to go to."""
        placed = [(self._place(record), record) for record in new]
        for place, record in placed:
            kept = self._records[place]
            kept.append(Record(*place, len(kept), record.key, record.value, record.headers))

    def records(self, topic: str) -> list[Record]:
        """Return all records of a topic, partition by partition."""
        return [
            record for place, kept in self._records.items() if place[0] == topic for record in kept
        ]

    def of(self, place: Place) -> list[Record]:
        """Return the records of one partition."""
        return self._records[place]

    def places(self, topics: Sequence[str]) -> list[Place]:
        """Return the partitions of some topics."""
        return [place for place in self._records if place[0] in topics]

    def _place(self, record: NewRecord) -> Place:
        count = sum(topic == record.topic for topic, _ in self._records)
        if not count:
            raise LogError(f"there is no topic {record.topic!r}")
        partition = record.partition
        if partition is None:
            partition = zlib.crc32(record.key or b"") % count
        return record.topic, partition


class FakeEventLog:
    """The one worker of the group; making another takes the partitions away from this one."""

    def __init__(self, topics: FakeTopics, reads: Sequence[str]) -> None:
        self._topics = topics
        self._reads = list(reads)
        self._position: dict[Place, int] = {}
        self.tenure = 0  # raise it to stand for partitions lost and regained
        self.idled_s: list[float] = []  # every wait asked for
        topics.owner = self
        self.rewind()

    def poll(self, timeout_s: float) -> list[Record]:
        """Return up to `MAX_POLLED` records; never waits."""
        if self._topics.owner is not self:
            return []
        polled: list[Record] = []
        for place in self._topics.places(self._reads):
            start = self._position[place]
            found = self._topics.of(place)[start : start + MAX_POLLED - len(polled)]
            self._position[place] = start + len(found)
            polled += found
        return polled

    def held(self) -> dict[Place, int]:
        """Return all partitions, or none."""
        if self._topics.owner is not self:
            return {}
        return dict.fromkeys(self._topics.places(self._reads), self.tenure)

    def contents(self, topic: str, partitions: Collection[int]) -> Iterator[Record]:
        """Yield all records of some partitions."""
        for partition in partitions:
            yield from self._topics.of((topic, partition))

    def num_partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""
        count = len(self._topics.places([topic]))
        if not count:
            raise LogError(f"there is no topic {topic!r}")
        return count

    def commit(self, read: Mapping[Place, int], new: Sequence[NewRecord]) -> None:
        """Write and mark as read, or raise and do neither."""
        if self._topics.owner is not self:
            raise PartitionsMoved(f"{len(read)} partitions are another worker's now")
        self._topics.write(new)
        self._topics.committed.update(read)

    def rewind(self) -> None:
        """Go back to what is committed."""
        self._position = {
            place: self._topics.committed.get(place, 0)
            for place in self._topics.places(self._reads)
        }

    def ends(self) -> dict[Place, int]:
        """Return how many records each partition has."""
        return {place: len(self._topics.of(place)) for place in self.held()}

    def lag(self) -> dict[Place, int]:
        """Return what is not committed as read."""
        if self._topics.owner is not self:
            return {}
        return {
            place: len(self._topics.of(place)) - self._topics.committed.get(place, 0)
            for place in self._topics.places(self._reads)
        }

    def idle(self, seconds: float) -> None:
        """Note that a wait was asked for."""
        self.idled_s.append(seconds)

    def close(self) -> None:
        """Leave the group."""
        if self._topics.owner is self:
            self._topics.owner = None
