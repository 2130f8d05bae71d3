"""Ingest: every event counts once, whatever fails or dies between any two steps."""

import random
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.errors import HistoryStoreError, LogError
from pigeon_recsys.history.events import HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import HistoryState, Joined
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.dead_letters import SUFFIX, attempts, replayed
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.ingest import HistoryIngest, Ingested, IngestSettings
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.fakes import FakeHistoryStateStore

EVENTS = "interactions"
NOW_MS = 1_767_225_600_000
USERS = ("ada", "bob", "eve")
SETTINGS = IngestSettings(capacity=4, first_wait_s=1, longest_wait_s=4)
CHANGELOG = SETTINGS.changelog


def like(user_id: str, number: int) -> Interacted:
    return Interacted(user_id, f"e{number}", NOW_MS + number, f"i{number}", LIKE)


def record_of(event: HistoryEvent) -> NewRecord:
    return NewRecord(EVENTS, event.user_id.encode(), JsonEvents().encode(event))


def make_topics(records: Iterable[NewRecord] = ()) -> FakeTopics:
    topics = FakeTopics({EVENTS: 2, EVENTS + SUFFIX: 1, CHANGELOG: 2})
    topics.write(list(records))
    return topics


def make_worker(topics: FakeTopics, store: FakeHistoryStateStore) -> HistoryIngest:
    reader = MessageReader(JsonEvents(), now_ms=lambda: NOW_MS)
    return HistoryIngest(FakeEventLog(topics, [EVENTS]), store, reader, SETTINGS)


def drain(worker: HistoryIngest) -> Ingested:
    total = Ingested()
    while (done := worker.step()).num_records:
        total += done
    return total


def states_of(events: Sequence[HistoryEvent]) -> dict[str, HistoryState]:
    """Return what the whole log makes of every user who has events."""
    users = dict.fromkeys(event.user_id for event in events)
    return {
        user_id: HistoryState.empty(user_id, SETTINGS.capacity).merged(
            event for event in events if event.user_id == user_id
        )
        for user_id in users
    }


def changelog(topics: FakeTopics) -> dict[str, HistoryState]:
    """Return the newest state of each user, as a compacted topic keeps it."""
    states = [HistoryState.from_bytes(record.value or b"") for record in topics.records(CHANGELOG)]
    return {state.user_id: state for state in states}


def test_events_become_histories_in_the_store_and_on_the_changelog() -> None:
    events: list[HistoryEvent] = [like("ada", 2), like("bob", 1), like("ada", 1)]
    events.append(TakenBack("ada", "e2", NOW_MS + 2))
    topics, store = make_topics(map(record_of, events)), FakeHistoryStateStore()
    assert drain(make_worker(topics, store)) == Ingested(num_records=4, num_changed=2)
    assert store.recent("ada", 9).item_ids == ("i1",)
    assert changelog(topics) == states_of(events) == store.states(USERS)
    assert sum(topics.committed.values()) == 4


def test_a_changelog_record_shares_its_user_s_partition() -> None:
    events = [like(user_id, 1) for user_id in USERS]
    topics = make_topics(map(record_of, events))
    drain(make_worker(topics, FakeHistoryStateStore()))
    home = {record.key: record.partition for record in topics.records(EVENTS)}
    assert {r.key: r.partition for r in topics.records(CHANGELOG)} == home


def test_what_cannot_be_used_becomes_a_dead_letter_and_stops_nobody() -> None:
    bad = NewRecord(EVENTS, b"ada", b'{"version": 9}', partition=0)
    topics = make_topics([bad, record_of(like("ada", 1))])
    store = FakeHistoryStateStore()
    done = drain(make_worker(topics, store))
    assert (done.num_records, done.num_dead) == (2, 1)
    (letter,) = topics.records(EVENTS + SUFFIX)
    told = {name: text.decode() for name, text in letter.headers}
    assert (letter.key, letter.value) == (bad.key, bad.value)
    assert (told["reason"], told["source"], told["attempts"]) == (
        "wrong-schema",
        f"{EVENTS}/0/0",
        "1",
    )
    assert "Unable to extract tag" in told["error"]
    assert "Traceback" in told["stack"]
    assert store.recent("ada", 9).item_ids == ("i1",)


def test_a_letter_replayed_keeps_its_count() -> None:
    topics = make_topics([NewRecord(EVENTS, b"ada", b"no event")])
    worker = make_worker(topics, FakeHistoryStateStore())
    for expected in (1, 2):
        drain(worker)
        letter = topics.records(EVENTS + SUFFIX)[-1]
        assert attempts(letter) == expected
        topics.write([replayed(letter)])
    assert topics.records(EVENTS)[-1].value == b"no event"


class FailingStore(FakeHistoryStateStore):
    """Fails as often as told, after it has stored or before."""

    def __init__(self, *, fails: int, after: bool) -> None:
        super().__init__()
        self._fails, self._after = fails, after

    def join(self, states: Iterable[HistoryState]) -> Joined:
        if self._after:
            joined = super().join(states)
        if self._fails:
            self._fails -= 1
            raise HistoryStoreError("the store is gone")
        return joined if self._after else super().join(states)


@pytest.mark.parametrize("after", [True, False])
def test_a_store_that_fails_is_waited_for_and_loses_nothing(*, after: bool) -> None:
    topics, store = make_topics([record_of(like("ada", 1))]), FailingStore(fails=4, after=after)
    log = FakeEventLog(topics, [EVENTS])
    worker = HistoryIngest(log, store, MessageReader(JsonEvents(), now_ms=lambda: NOW_MS), SETTINGS)
    for _ in range(4):
        assert worker.step() == Ingested()
        assert not topics.committed
        assert not topics.records(CHANGELOG)
    assert log.idled_s == [1, 2, 4, 4]
    assert drain(worker).num_records == 1
    assert changelog(topics) == states_of([like("ada", 1)])
    topics.write([record_of(like("ada", 2))])
    store._fails = 1
    worker.step()
    assert log.idled_s[-1] == 1, "a success starts the waits anew"


def test_a_worker_whose_partitions_moved_writes_nothing() -> None:
    topics, store = make_topics([record_of(like("ada", 1))]), FakeHistoryStateStore()

    class TakenWhileStoring(FakeHistoryStateStore):
        def join(self, states: Iterable[HistoryState]) -> Joined:
            joined = store.join(states)
            make_worker(topics, store)  # takes the partitions over
            return joined

    zombie = make_worker(topics, TakenWhileStoring())
    assert zombie.step() == Ingested()
    assert not topics.committed
    assert not topics.records(CHANGELOG)
    drain(make_worker(topics, store))
    assert len(topics.records(CHANGELOG)) == 1
    assert store.states(USERS) == states_of([like("ada", 1)])


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class MortalLog(FakeEventLog):
    """Dies before or after a transaction, by chance."""

    chance = random.Random(0)

    def commit(self, read, new) -> None:  # type: ignore[no-untyped-def]
        if self.chance.random() < 0.3:
            raise Killed
        super().commit(read, new)
        if self.chance.random() < 0.3:
            raise Killed


histories = st.lists(
    st.builds(like, st.sampled_from(USERS), st.integers(-9, 0)),
    max_size=30,
)


@settings(deadline=None)
@given(histories, st.integers(0, 2**16), st.integers(1, 5))
def test_whatever_dies_each_event_counts_once(
    events: list[Interacted], seed: int, batch: int
) -> None:
    """Workers die between store and transaction and right after it; new ones take over."""
    bad = NewRecord(EVENTS, b"ada", b"no event")
    topics, store = make_topics(), FakeHistoryStateStore()
    reader = MessageReader(JsonEvents(), now_ms=lambda: NOW_MS)
    chance = random.Random(seed)
    waiting = [*map(record_of, events), bad]
    chance.shuffle(waiting)
    MortalLog.chance = chance
    worker = HistoryIngest(MortalLog(topics, [EVENTS]), store, reader, SETTINGS)
    while waiting or sum(topics.committed.values()) < len(events) + 1:
        topics.write(waiting[:batch])
        waiting = waiting[batch:]
        try:
            worker.step()
        except Killed:
            worker = HistoryIngest(MortalLog(topics, [EVENTS]), store, reader, SETTINGS)
    assert store.states(USERS) == states_of(events) == changelog(topics)
    assert len(topics.records(EVENTS + SUFFIX)) == 1


def test_a_log_without_the_topics_says_so() -> None:
    topics = FakeTopics({EVENTS: 1})
    topics.write([record_of(like("ada", 1))])
    with pytest.raises(LogError, match="there is no topic 'histories'"):
        make_worker(topics, FakeHistoryStateStore()).step()
