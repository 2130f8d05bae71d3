"""What ingest tells its observer: once what is committed, at once what fails."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from pigeon_recsys.errors import HistoryStoreError
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord, Place
from pigeon_recsys.streaming.ingest import HistoryIngest, IngestSettings
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys.streaming.observation import HISTORY_STORE, Observer
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.fakes import FakeHistoryStateStore

EVENTS = "interactions"
SETTINGS = IngestSettings(first_wait_s=2)
NOW_MS = 1_767_225_600_000


class Diary(Observer):
    """Writes down what it is told, without times."""

    def __init__(self) -> None:
        self.pages: list[Any] = []

    def stepped(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        self.pages.append(("lag", sum(lag().values())))

    def polled(self, places: Iterable[Place]) -> None:
        self.pages.append(("polled", list(places)))

    def transaction(self, seconds: float, read: Mapping[Place, int]) -> None:
        self.pages.append(("transaction", dict(read)))

    def log_failed(self, kind: str) -> None:
        self.pages.append(("log failed", kind))

    def store_failed(self, kind: str) -> None:
        self.pages.append(("store failed", kind))

    def store_worked(self, kind: str) -> None:
        self.pages.append(("store worked", kind))

    def waited(self, seconds: float) -> None:
        self.pages.append(("waited", seconds))

    def dead_letter(self, topic: str, reason: str) -> None:
        self.pages.append(("dead letter", topic, reason))

    def batch_finished(
        self, seconds: float, event_times_ms: Iterable[int], num_changed: int
    ) -> None:
        self.pages.append(("batch", list(event_times_ms), num_changed))


@pytest.fixture
def topics() -> FakeTopics:
    found = FakeTopics({EVENTS: 1, EVENTS + SUFFIX: 1, SETTINGS.changelog: 1})
    like = Interacted("ada", "e1", NOW_MS, "i1", LIKE)
    found.write([NewRecord(EVENTS, b"ada", JsonEvents().encode(like))])
    found.write([NewRecord(EVENTS, b"ada", b"no event")])
    return found


def step(topics: FakeTopics, store: FakeHistoryStateStore) -> list[Any]:
    diary = Diary()
    log = FakeEventLog(topics, [EVENTS])
    HistoryIngest(log, store, MessageReader(JsonEvents()), SETTINGS, diary).step()
    return diary.pages


def test_a_batch_is_told_once_it_is_committed(topics: FakeTopics) -> None:
    assert step(topics, FakeHistoryStateStore()) == [
        ("polled", [(EVENTS, 0), (EVENTS, 0)]),
        ("store worked", HISTORY_STORE),
        ("transaction", {(EVENTS, 0): 2}),
        ("dead letter", EVENTS, "malformed"),
        ("batch", [NOW_MS], 1),
        ("lag", 0),
    ]


def test_a_store_that_fails_is_told_with_the_wait_and_counts_nothing(topics: FakeTopics) -> None:
    class Gone(FakeHistoryStateStore):
        def join(self, states: Any) -> Any:
            raise HistoryStoreError("the store is gone")

    assert step(topics, Gone()) == [
        ("polled", [(EVENTS, 0), (EVENTS, 0)]),
        ("store failed", HISTORY_STORE),
        ("waited", 2),
        ("lag", 2),
    ]


def test_partitions_that_moved_are_told_as_that(topics: FakeTopics) -> None:
    class Taken(FakeHistoryStateStore):
        def join(self, states: Any) -> Any:
            joined = super().join(states)
            FakeEventLog(topics, [EVENTS])
            return joined

    assert step(topics, Taken())[-2:] == [("log failed", "moved"), ("lag", 0)]


def test_an_observer_that_does_nothing_reads_nothing() -> None:
    def never() -> Iterable[Any]:
        raise AssertionError
        yield

    silent = Observer()
    silent.polled(never())
    silent.batch_finished(1.0, never(), 0)
    silent.stepped(lambda: {}[None])  # type: ignore[misc]
