"""Dead letters go back once each; what fails again waits for another replay."""

from pigeon_recsys.streaming.dead_letters import SUFFIX, attempts, dead_letter
from pigeon_recsys.streaming.event_log import NewRecord, Record
from pigeon_recsys.streaming.replay import Replay
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics

EVENTS, LETTERS = "events", "events" + SUFFIX


def make_topics(*values: bytes) -> FakeTopics:
    """Return topics on which each of these values has failed once."""
    topics = FakeTopics({EVENTS: 1, LETTERS: 2})
    failed = [Record(EVENTS, 0, n, b"k", value) for n, value in enumerate(values)]
    topics.write([dead_letter(each, ValueError("no event")) for each in failed])
    return topics


def fail_again(topics: FakeTopics) -> None:
    """Do what a worker that was not mended does."""
    topics.write([dead_letter(each, ValueError("again")) for each in topics.records(EVENTS)])


def replayed(topics: FakeTopics) -> int:
    """Replay while a worker runs; return the number of letters sent back."""
    replay, count = Replay(FakeEventLog(topics, [LETTERS])), 0
    while sent := replay.step(0):
        count += sent
        fail_again(topics)
        assert count < 10, "there is no end to it"
    return count


def test_a_replay_beside_a_worker_that_was_not_mended_ends() -> None:
    """Each letter that came back was sent back at once, for ever."""
    topics = make_topics(b"one", b"two")
    assert replayed(topics) == 2
    assert sorted(map(attempts, topics.records(LETTERS))) == [1, 1, 2, 2]


def test_what_failed_again_is_sent_by_the_next_replay() -> None:
    topics = make_topics(b"one")
    replayed(topics)
    assert replayed(topics) == 1
    assert [record.value for record in topics.records(EVENTS)] == [b"one", b"one"]


def test_what_was_not_sent_is_not_marked_as_read() -> None:
    topics = make_topics(b"one")
    log = FakeEventLog(topics, [LETTERS])
    replay = Replay(log)
    assert replay.step(0) == 1
    topics.write([NewRecord(LETTERS, b"k", b"late", 0)])
    assert replay.step(0) == 0
    assert sum(log.lag().values()) == 1
