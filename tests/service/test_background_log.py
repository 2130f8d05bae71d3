"""Nobody waits for the log: what cannot be written is counted, what can is written once it can."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import pytest

from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import EventError, LogError, SettingsError
from pigeon_recsys.ports import SlateLog
from pigeon_recsys.service.background_log import (
    BackgroundSettings,
    BackgroundSlateLog,
    LogObserver,
)
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from pigeon_recsys.testing.slate_log_contract import (
    make_decision,
    make_exposure,
    make_outcome,
)

LONG_S = 60.0
SHORT = BackgroundSettings(batch_s=0.01, first_wait_s=0.01, longest_wait_s=0.02)
FULL_BATCHES = BackgroundSettings(batch_size=3, batch_s=LONG_S)


class Counting(LogObserver):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.num_written = self.num_failed = 0
        self.reasons: dict[str, int] = {}

    def written(self, num_entries: int) -> None:
        self.num_written += num_entries

    def dropped(self, num_entries: int, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + num_entries

    def failed(self) -> None:
        self.num_failed += 1


class StuckLog(FakeSlateLog):
    """Writes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.is_writing = threading.Event()
        self.released = threading.Event()

    def write(self, entries: Sequence[SlateEntry]) -> None:
        self.is_writing.set()
        self.released.wait(LONG_S)
        super().write(entries)


class BrokenLog(FakeSlateLog):
    """Has a fault of its own in its first batch."""

    def write(self, entries: Sequence[SlateEntry]) -> None:
        if not self.batches:
            self.batches.append(0)
            raise RuntimeError("a fault of the log's own")
        super().write(entries)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come about"
        time.sleep(0.005)


def test_closing_writes_what_waits_and_closes_the_log() -> None:
    inner = FakeSlateLog()
    log = BackgroundSlateLog(inner, BackgroundSettings(batch_s=LONG_S))
    assert isinstance(log, SlateLog)
    entries: list[SlateEntry] = [make_decision(), make_exposure(), make_outcome()]
    log.write(entries[:1])
    log.write(entries[1:])
    assert inner.entries == []
    log.close()
    log.close()
    assert inner.entries == entries
    assert inner.is_closed


def test_a_batch_is_due_when_it_is_full() -> None:
    inner = FakeSlateLog()
    log = BackgroundSlateLog(inner, FULL_BATCHES)
    log.write([make_exposure(number) for number in range(7)])
    wait_until(lambda: len(inner.entries) == 6)
    log.close()
    assert inner.batches == [3, 3, 1]


def test_a_batch_is_due_when_its_first_entry_is_old_enough() -> None:
    inner = FakeSlateLog()
    log = BackgroundSlateLog(inner, SHORT)
    log.write([make_exposure()])
    wait_until(lambda: inner.entries == [make_exposure()])
    log.close()


def test_a_log_that_fails_is_tried_again_until_it_works_in_the_order_of_entries() -> None:
    inner, observer = FakeSlateLog(failures_left=5), Counting()
    log = BackgroundSlateLog(inner, SHORT, observer)
    entries = [make_exposure(number) for number in range(5)]
    for entry in entries:
        log.write([entry])
    wait_until(lambda: inner.entries == entries)
    log.close()
    assert (observer.num_written, observer.num_failed, observer.reasons) == (5, 5, {})


def test_a_full_queue_drops_what_comes_and_makes_nobody_wait() -> None:
    """The log holds the first entry; of the nine that come then, four wait."""
    inner, observer = StuckLog(), Counting()
    log = BackgroundSlateLog(inner, BackgroundSettings(max_waiting=4, batch_s=0.01), observer)
    log.write([make_exposure(0)])
    inner.is_writing.wait(LONG_S)
    started_s = time.monotonic()
    log.write([make_exposure(number) for number in range(1, 8)])
    log.write([make_exposure(number) for number in range(8, 10)])
    assert time.monotonic() - started_s < 1
    assert observer.reasons == {"full": 5}
    inner.released.set()
    log.close()
    assert inner.entries == [make_exposure(number) for number in range(5)]
    assert log.num_dropped == 5


def test_an_entry_that_is_refused_costs_no_other() -> None:
    inner, observer = FakeSlateLog(refused={"bad"}), Counting()
    log = BackgroundSlateLog(inner, FULL_BATCHES, observer)
    users = ["ada", "bad", "bob", "bad", "eve", "ada", "bob"]
    log.write([make_decision(number, user_id=user) for number, user in enumerate(users)])
    log.close()
    assert [each.user_id for each in inner.entries] == ["ada", "bob", "eve", "ada", "bob"]
    assert observer.reasons == {"refused": 2}


def test_a_fault_of_the_logs_own_costs_its_batch_and_nothing_after_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner, observer = BrokenLog(), Counting()
    log = BackgroundSlateLog(inner, FULL_BATCHES, observer)
    log.write([make_exposure(number) for number in range(4)])
    log.close()
    assert inner.entries == [make_exposure(3)]
    assert observer.reasons == {"broken": 3}
    assert "the slate log cannot write a batch" in caplog.text


@pytest.mark.parametrize("inner", [StuckLog(), FakeSlateLog(failures_left=10**6)])
def test_closing_takes_no_longer_than_it_may_and_counts_what_is_lost(inner: FakeSlateLog) -> None:
    observer = Counting()
    settings = BackgroundSettings(batch_size=2, close_s=0.2, first_wait_s=0.05)
    log = BackgroundSlateLog(inner, settings, observer)
    log.write([make_exposure(number) for number in range(5)])
    time.sleep(0.05)
    started_s = time.monotonic()
    log.close()
    assert time.monotonic() - started_s < 1
    wait_until(lambda: sum(observer.reasons.values()) >= 3)
    assert set(observer.reasons) == {"closed"}


def test_after_closing_entries_are_dropped_and_counted() -> None:
    log = BackgroundSlateLog(FakeSlateLog())
    log.close()
    log.write([make_exposure()])
    assert log.num_dropped == 1


def test_a_failing_log_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    inner = FakeSlateLog(failures_left=20)
    log = BackgroundSlateLog(inner, SHORT)
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            log.write([make_exposure(number)])
        wait_until(lambda: len(inner.entries) == 20)
        log.close()
    told = [record for record in caplog.records if "the slate log" in record.getMessage()]
    assert [record.getMessage() for record in told] == [
        "the slate log: it fails: the fake slate log fails as it was told to"
    ]


@pytest.mark.parametrize("error", [LogError, EventError("malformed", "x"), OSError, MemoryError])
def test_whatever_the_log_raises_nobody_who_writes_meets_it(error: Exception) -> None:
    class Raising(FakeSlateLog):
        def write(self, entries: Sequence[SlateEntry]) -> None:
            raise error

        def close(self) -> None:
            raise error

    log = BackgroundSlateLog(Raising(), BackgroundSettings(batch_s=0.01, close_s=0.1))
    log.write([make_exposure(), make_decision()])
    log.close()
    wait_until(lambda: log.num_dropped == 2)


def test_many_threads_lose_nothing() -> None:
    inner = FakeSlateLog()
    log = BackgroundSlateLog(inner, SHORT)

    def write_all(numbers: Iterable[int]) -> None:
        for number in numbers:
            log.write([make_exposure(number)])

    threads = [
        threading.Thread(target=write_all, args=[range(first, first + 100)])
        for first in range(0, 400, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(each.at_ms for each in inner.entries) == sorted(
        make_exposure(number).at_ms for number in range(400)
    )


def test_a_setting_that_cannot_work_is_named() -> None:
    with pytest.raises(SettingsError, match="log.batch_s must be above 0, got 0"):
        BackgroundSettings(batch_s=0)
