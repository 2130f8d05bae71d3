"""What every `EventLog` must do, as tests to inherit.

    class TestMyLog(EventLogContract):
        def make_topics(self, num_partitions): ...
        def make_log(self, reads): ...
        def write(self, records): ...
        def read_all(self, topic): ...

All logs that one test makes are workers of one group; a test closes one before it makes another.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import pytest

from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.event_log import EventLog, NewRecord, Place, Record, read_up_to

EVENTS, RESULTS = "events", "results"
MAX_POLLS = 60
POLL_S = 0.5


class EventLogContract(ABC):
    """Inherit and supply the four methods."""

    @abstractmethod
    def make_topics(self, num_partitions: Mapping[str, int]) -> Mapping[str, str]:
        """Make topics and return their real names."""

    @abstractmethod
    def make_log(self, reads: Sequence[str]) -> EventLog:
        """Return a new worker of the group."""

    @abstractmethod
    def write(self, records: Sequence[NewRecord]) -> None:
        """Write records, outside of any transaction."""

    @abstractmethod
    def read_all(self, topic: str) -> list[Record]:
        """Return all that committed transactions have written, partition by partition."""

    def test_it_has_the_methods_of_the_port(self) -> None:
        topics = self.make_topics({EVENTS: 1})
        log = self.make_log([topics[EVENTS]])
        assert isinstance(log, EventLog)
        log.close()

    def test_what_is_written_is_polled_in_order_and_whole(self) -> None:
        topics = self.make_topics({EVENTS: 2})
        written = [
            NewRecord(topics[EVENTS], b"ada", b"1", partition=0, headers=(("a", b"x"),)),
            NewRecord(topics[EVENTS], b"bob", b"2", partition=1),
            NewRecord(topics[EVENTS], b"ada", None, partition=0),
            NewRecord(topics[EVENTS], None, b"\xff\x00", partition=1),
        ]
        self.write(written)
        log = self.make_log([topics[EVENTS]])
        polled = polled_from(log, 4)
        log.close()
        for partition in (0, 1):
            found = [record for record in polled if record.partition == partition]
            assert [record.offset for record in found] == [0, 1]
            sent = [record for record in written if record.partition == partition]
            assert [(r.key, r.value, r.headers) for r in found] == [
                (r.key, r.value, r.headers) for r in sent
            ]

    def test_what_is_committed_is_written_and_never_polled_again(self) -> None:
        topics = self.make_topics({EVENTS: 1, RESULTS: 1})
        self.write([NewRecord(topics[EVENTS], b"k", str(n).encode()) for n in range(3)])
        log = self.make_log([topics[EVENTS]])
        polled = polled_from(log, 3)
        log.commit(read_up_to(polled[:2]), [NewRecord(topics[RESULTS], b"k", b"two are done")])
        log.close()
        assert [record.value for record in self.read_all(topics[RESULTS])] == [b"two are done"]
        other = self.make_log([topics[EVENTS]])
        assert [record.value for record in polled_from(other, 1)] == [b"2"]
        other.close()

    def test_what_is_not_committed_is_polled_again(self) -> None:
        topics = self.make_topics({EVENTS: 1})
        self.write([NewRecord(topics[EVENTS], b"k", b"1")])
        log = self.make_log([topics[EVENTS]])
        first = polled_from(log, 1)
        log.rewind()
        assert polled_from(log, 1) == first
        log.close()
        other = self.make_log([topics[EVENTS]])
        assert polled_from(other, 1) == first
        other.close()

    def test_a_transaction_that_fails_writes_and_marks_nothing(self) -> None:
        topics = self.make_topics({EVENTS: 1, RESULTS: 1})
        self.write([NewRecord(topics[EVENTS], b"k", b"1")])
        log = self.make_log([topics[EVENTS]])
        polled = polled_from(log, 1)
        good = NewRecord(topics[RESULTS], b"k", b"good")
        with pytest.raises(LogError):
            log.commit(read_up_to(polled), [good, NewRecord("no-such-topic", b"k", b"bad")])
        assert self.read_all(topics[RESULTS]) == []
        log.rewind()
        assert polled_from(log, 1) == polled
        log.commit(read_up_to(polled), [good])  # and it goes on
        assert [record.value for record in self.read_all(topics[RESULTS])] == [b"good"]
        log.close()

    def test_it_holds_the_same_partitions_of_all_its_topics(self) -> None:
        topics = self.make_topics({EVENTS: 3, RESULTS: 3})
        log = self.make_log([topics[EVENTS], topics[RESULTS]])
        held = held_by(log, 6)
        assert set(held) == {(topic, n) for topic in topics.values() for n in range(3)}
        log.poll(POLL_S)
        assert log.held() == held, "a tenure lasts"
        log.close()

    def test_contents_are_all_that_was_committed(self) -> None:
        topics = self.make_topics({EVENTS: 2, RESULTS: 2})
        events, results = topics[EVENTS], topics[RESULTS]
        self.write([NewRecord(results, b"k", str(n).encode(), partition=n % 2) for n in range(4)])
        log = self.make_log([events])
        held_by(log, 2)
        log.commit({}, [NewRecord(results, b"k", b"4", partition=0)])
        with pytest.raises(LogError):
            log.commit(
                {}, [NewRecord(results, b"k", b"x", 0), NewRecord("no-such-topic", b"", b"")]
            )
        found = list(log.contents(results, [0]))
        assert [(r.partition, r.value) for r in found] == [(0, b"0"), (0, b"2"), (0, b"4")]
        both = [record.value for record in log.contents(results, [0, 1])]
        assert sorted(both, key=str) == [b"0", b"1", b"2", b"3", b"4"]
        assert list(log.contents(events, [0, 1])) == []
        assert list(log.contents(results, [])) == []
        log.close()

    def test_partitions_are_counted(self) -> None:
        topics = self.make_topics({EVENTS: 3})
        log = self.make_log([topics[EVENTS]])
        assert log.num_partitions(topics[EVENTS]) == 3
        with pytest.raises(LogError, match="no-such-topic"):
            log.num_partitions("no-such-topic")
        log.close()

    def test_ends_are_where_the_next_record_will_lie(self) -> None:
        topics = self.make_topics({EVENTS: 2})
        events = topics[EVENTS]
        self.write([NewRecord(events, b"k", str(n).encode(), partition=0) for n in range(3)])
        log = self.make_log([events])
        held_by(log, 2)
        ends = log.ends()
        assert ends.keys() == {(events, 0), (events, 1)}
        assert ends[events, 0] >= 3
        self.write([NewRecord(events, b"k", b"later", partition=n) for n in (0, 1)])
        (late,) = [r for r in self.read_all(events) if r.partition == 0 and r.value == b"later"]
        assert late.offset == ends[events, 0]
        assert log.ends()[events, 1] > ends[events, 1]
        log.close()

    def test_lag_is_what_is_not_committed_as_read(self) -> None:
        topics = self.make_topics({EVENTS: 2, RESULTS: 1})
        events, results = topics[EVENTS], topics[RESULTS]
        self.write([NewRecord(events, b"k", b"1", partition=0) for _ in range(3)])
        log = self.make_log([events, results])
        polled = polled_from(log, 3)
        assert log.lag() == {(events, 0): 3, (events, 1): 0, (results, 0): 0}
        log.commit(read_up_to(polled[:2]), [])
        assert log.lag()[events, 0] == 1
        log.rewind()
        assert log.lag()[events, 0] == 1
        log.commit(read_up_to(polled_from(log, 1)), [NewRecord(results, b"k", b"result")])
        polled = polled_from(log, 1)
        assert log.lag()[results, 0] >= 1
        log.commit(read_up_to(polled), [])
        for _ in range(MAX_POLLS):
            if not any(log.lag().values()):
                break
            assert log.poll(POLL_S) == []
        assert not any(log.lag().values()), "the mark that ends a transaction is no record"
        log.close()

    def test_nothing_is_read_or_lost_while_idle(self) -> None:
        topics = self.make_topics({EVENTS: 2})
        log = self.make_log([topics[EVENTS]])
        self.write([NewRecord(topics[EVENTS], b"k", b"1", partition=n) for n in range(2)])
        log.idle(1.0)
        assert sorted(record.partition for record in polled_from(log, 2)) == [0, 1]
        log.close()


def held_by(log: EventLog, count: int) -> dict[Place, int]:
    """Poll until the log has so many partitions, and return them; what comes is not wanted."""
    for _ in range(MAX_POLLS):
        log.poll(POLL_S)
        if len(held := log.held()) >= count:
            return held
    raise AssertionError(f"{len(held)} partitions after {MAX_POLLS} polls, {count} expected")


def polled_from(log: EventLog, count: int) -> list[Record]:
    """Return as many records as polls give until there are enough."""
    polled: list[Record] = []
    for _ in range(MAX_POLLS):
        polled += log.poll(POLL_S)
        if len(polled) >= count:
            break
    assert len(polled) == count, f"{len(polled)} records in {MAX_POLLS} polls, {count} expected"
    return polled
