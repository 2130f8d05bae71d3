"""So many threads for work under deadlines: busy, closed and late are told apart."""

import threading
import time
from collections.abc import Iterator

import pytest

from pigeon_recsys.bounded_pool import BoundedPool, OutOfTime, PoolBusy, PoolClosed
from pigeon_recsys.deadline import Deadline

ENDLESS = Deadline.after(None)


@pytest.fixture
def pool() -> Iterator[BoundedPool]:
    pool = BoundedPool(1, "test")
    yield pool
    pool.close()


def test_it_returns_what_the_work_returns(pool: BoundedPool) -> None:
    assert [pool.run(lambda: 3, Deadline.after(5000)) for _ in range(50)] == [3] * 50


def test_it_raises_what_the_work_raises_also_a_timeout_of_its_own(pool: BoundedPool) -> None:
    def late() -> None:
        raise TimeoutError("a socket's")

    with pytest.raises(TimeoutError, match="a socket's"):
        pool.run(late, Deadline.after(5000))


def test_work_that_is_given_up_holds_its_thread_until_it_ends(pool: BoundedPool) -> None:
    may_end, has_ended = threading.Event(), threading.Event()

    def slow() -> None:
        may_end.wait(10)
        has_ended.set()

    with pytest.raises(OutOfTime):
        pool.run(slow, Deadline.after(20))
    with pytest.raises(PoolBusy):
        pool.run(lambda: 1, Deadline.after(5000))
    may_end.set()
    assert pool.run(lambda: 2, ENDLESS) == 2  # without a limit it waits for the thread
    assert has_ended.is_set()


def test_the_reserve_is_kept(pool: BoundedPool) -> None:
    started = time.monotonic()
    with pytest.raises(OutOfTime):
        pool.run(lambda: time.sleep(0.5), Deadline.after(10_000), reserve_ms=9_950)
    assert time.monotonic() - started < 0.4


def test_a_closed_pool_begins_nothing(pool: BoundedPool) -> None:
    pool.close()
    for _ in range(3):  # and holds no thread for what it did not begin
        with pytest.raises(PoolClosed):
            pool.run(lambda: 1, Deadline.after(1000))
