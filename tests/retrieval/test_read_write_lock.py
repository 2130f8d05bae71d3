"""Readers share, writers are alone, and a writer is not kept waiting by newer readers."""

import threading
from collections.abc import Callable

import pytest

from pigeon_recsys.retrieval.read_write_lock import ReadWriteLock

SOON_S, AT_LAST_S = 0.05, 10.0


def in_thread(work: Callable[[], None]) -> threading.Event:
    """Start some work; the event is set when it has ended."""
    ended = threading.Event()

    def run() -> None:
        work()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    return ended


def test_readers_read_at_once() -> None:
    lock = ReadWriteLock()
    both = threading.Barrier(2)

    def read() -> None:
        with lock.reading():
            both.wait(AT_LAST_S)

    first, second = in_thread(read), in_thread(read)
    assert first.wait(AT_LAST_S)
    assert second.wait(AT_LAST_S)


def test_a_writer_waits_for_readers_and_goes_before_later_ones() -> None:
    lock, order = ReadWriteLock(), list[str]()

    def write() -> None:
        with lock.writing():
            order.append("writer")

    def read() -> None:
        with lock.reading():
            order.append("reader")

    with lock.reading():
        writer = in_thread(write)
        while not lock._num_writers:
            pass
        reader = in_thread(read)
        assert not writer.wait(SOON_S)
        assert not reader.wait(SOON_S)
        assert order == []
    assert writer.wait(AT_LAST_S)
    assert reader.wait(AT_LAST_S)
    assert order == ["writer", "reader"]


def test_writers_are_alone() -> None:
    """Each adds one in two steps; a second writer in between would lose one."""
    lock, count = ReadWriteLock(), [0]

    def write() -> None:
        for _ in range(300):
            with lock.writing():
                before = count[0]
                threading.Event().wait(0)
                count[0] = before + 1

    for ended in [in_thread(write) for _ in range(4)]:
        assert ended.wait(AT_LAST_S)
    assert count == [1200]


def test_what_fails_inside_lets_go() -> None:
    lock = ReadWriteLock()
    for taken in (lock.reading, lock.writing):
        with pytest.raises(ZeroDivisionError), taken():
            raise ZeroDivisionError
    with lock.writing():
        pass
