"""The archiver: what the topics hold is in the archive, whatever fails or dies in between."""

from collections.abc import Iterable

import pytest

from pigeon_recsys.decisions import Decision, Exposure, SlateEntry
from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.archive import Archived, Archiver, ArchiveSettings
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.topics import DECISIONS, EXPOSURES, OUTCOMES
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from pigeon_recsys.testing.slate_log_contract import make_decision, make_exposure, make_outcome

TOPICS = (DECISIONS, EXPOSURES, OUTCOMES)
SETTINGS = ArchiveSettings(write_every_s=10, num_entries=100, first_wait_s=1, longest_wait_s=4)
ENTRIES = [make_decision(1), make_exposure(1), make_outcome(1), make_decision(2)]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class World:
    """Topics, an archive, and a clock that stands still."""

    def __init__(self) -> None:
        self.clock, self.archive = Clock(), FakeSlateLog()
        letters = {name + SUFFIX: 1 for name in TOPICS}
        self.topics = FakeTopics({**dict.fromkeys(TOPICS, 2), **letters})

    def archiver(self, log: FakeEventLog | None = None) -> Archiver:
        log = log or FakeEventLog(self.topics, TOPICS)
        return Archiver(log, self.archive, settings=SETTINGS, now_s=self.clock)

    def publish(self, entries: Iterable[SlateEntry]) -> None:
        codecs = Codecs()
        for entry in entries:
            if isinstance(entry, Decision):
                topic, value = DECISIONS, codecs.decisions.encode(entry)
            elif isinstance(entry, Exposure):
                topic, value = EXPOSURES, codecs.exposures.encode(entry)
            else:
                topic, value = OUTCOMES, codecs.outcomes.encode(entry)
            self.topics.write([NewRecord(topic, entry.user_id.encode(), value)])

    @property
    def num_committed(self) -> int:
        return sum(self.topics.committed.values())

    def assert_holds(self, entries: Iterable[SlateEntry]) -> None:
        """The archive has just these, in any order."""
        assert sorted(map(repr, self.archive.entries)) == sorted(map(repr, entries))


@pytest.fixture
def world() -> World:
    return World()


def test_entries_are_written_and_committed_when_it_is_time(world: World) -> None:
    archiver = world.archiver()
    world.publish(ENTRIES)
    assert archiver.step() == Archived(num_records=4)
    world.clock.now_s = 9.9
    assert not archiver.step()
    assert (world.archive.entries, world.num_committed) == ([], 0)
    world.clock.now_s = 10
    archiver.step()
    world.assert_holds(ENTRIES)
    assert world.archive.batches == [4]
    assert world.num_committed == 4


def test_many_entries_are_written_before_it_is_time(world: World) -> None:
    archiver = world.archiver()
    world.publish(make_exposure(number) for number in range(SETTINGS.num_entries))
    while not world.archive.entries:
        assert archiver.step()
    assert world.num_committed == SETTINGS.num_entries


def test_many_records_that_cannot_be_read_do_not_pile_up(world: World) -> None:
    archiver = world.archiver()
    world.topics.write([NewRecord(DECISIONS, b"ada", b"{")] * SETTINGS.num_entries)
    while not world.num_committed:
        assert archiver.step()
    assert len(world.topics.records(DECISIONS + SUFFIX)) == SETTINGS.num_entries


def test_the_end_writes_what_there_is_and_nothing_twice(world: World) -> None:
    archiver = world.archiver()
    world.publish(ENTRIES)
    archiver.step()
    archiver.finish()
    archiver.finish()
    world.assert_holds(ENTRIES)
    another = world.archiver()
    assert not another.step()
    another.finish()
    world.assert_holds(ENTRIES)


def test_what_cannot_be_read_becomes_a_dead_letter_and_stops_nobody(world: World) -> None:
    archiver = world.archiver()
    world.topics.write([NewRecord(DECISIONS, b"ada", b"{"), NewRecord(OUTCOMES, b"ada", None)])
    world.publish(ENTRIES)
    assert archiver.step() == Archived(num_records=6, num_dead=2)
    archiver.finish()
    world.assert_holds(ENTRIES)
    assert world.num_committed == 6
    letters = [*world.topics.records(DECISIONS + SUFFIX), *world.topics.records(OUTCOMES + SUFFIX)]
    assert [dict(letter.headers)["reason"] for letter in letters] == [b"malformed", b"malformed"]


def test_an_entry_that_the_archive_refuses_costs_no_other(world: World) -> None:
    refused = make_decision(3, user_id="strange")
    world.archive = FakeSlateLog(refused=["strange"])
    archiver = world.archiver()
    world.publish([*ENTRIES, refused])
    archiver.step()
    archiver.finish()
    world.assert_holds(ENTRIES)
    (letter,) = world.topics.records(DECISIONS + SUFFIX)
    assert letter.key == b"strange"
    assert world.num_committed == 5


def test_an_archive_that_fails_is_waited_for_and_nothing_is_read_meanwhile(world: World) -> None:
    log = FakeEventLog(world.topics, TOPICS)
    archiver = world.archiver(log)
    world.publish(ENTRIES[:2])
    archiver.step()
    world.clock.now_s, world.archive.failures_left = 10, 5
    for _ in range(4):
        assert not archiver.step()
        world.publish([])
    assert log.idled_s == [1, 2, 4, 4]
    with pytest.raises(LogError):
        archiver.finish()
    assert world.num_committed == 0
    world.publish(ENTRIES[2:])
    assert not archiver.step()
    world.assert_holds(ENTRIES[:2])
    assert archiver.step().num_records == 2
    archiver.finish()
    world.assert_holds(ENTRIES)
    assert world.num_committed == 4


def test_one_that_dies_before_the_commit_misses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for kill -9."""

    def die(*_: object) -> None:
        raise Killed

    world.publish(ENTRIES)
    archiver = world.archiver()
    archiver.step()
    with monkeypatch.context() as dying:
        dying.setattr(FakeEventLog, "commit", die)
        with pytest.raises(Killed):
            archiver.finish()
    assert world.num_committed == 0
    another = world.archiver()
    assert another.step().num_records == 4
    another.finish()
    world.assert_holds([*ENTRIES, *ENTRIES])  # readers take each once
    assert world.num_committed == 4


def test_partitions_that_moved_are_left_to_whoever_has_them(world: World) -> None:
    log = FakeEventLog(world.topics, TOPICS)
    zombie = world.archiver(log)
    world.publish(ENTRIES)
    zombie.step()
    world.archiver()  # takes the partitions over
    zombie.finish()
    assert world.num_committed == 0


def test_what_was_read_before_a_partition_was_lost_is_read_again(world: World) -> None:
    log = FakeEventLog(world.topics, TOPICS)
    archiver = world.archiver(log)
    world.publish(ENTRIES)
    archiver.step()
    log.tenure += 1
    world.publish([make_outcome(9)])
    assert not archiver.step()
    assert world.archive.entries == []
    assert archiver.step().num_records == 5
    archiver.finish()
    world.assert_holds([*ENTRIES, make_outcome(9)])


def test_what_was_read_before_a_partition_was_lost_is_not_written_at_the_end(world: World) -> None:
    archiver = world.archiver(log := FakeEventLog(world.topics, TOPICS))
    world.publish([make_outcome(9)])
    assert archiver.step()
    log.tenure += 1
    archiver.finish()
    assert world.archive.entries == []
    assert archiver.step().num_records == 1
