"""The event log in memory keeps the contract."""

from collections.abc import Mapping, Sequence

from pigeon_recsys.streaming.event_log import EventLog, NewRecord, Record
from pigeon_recsys.testing.event_log_contract import EventLogContract
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics


class TestFakeEventLog(EventLogContract):
    topics: FakeTopics

    def make_topics(self, num_partitions: Mapping[str, int]) -> Mapping[str, str]:
        self.topics = FakeTopics(num_partitions)
        return {name: name for name in num_partitions}

    def make_log(self, reads: Sequence[str]) -> EventLog:
        return FakeEventLog(self.topics, reads)

    def write(self, records: Sequence[NewRecord]) -> None:
        self.topics.write(records)

    def read_all(self, topic: str) -> list[Record]:
        return self.topics.records(topic)
