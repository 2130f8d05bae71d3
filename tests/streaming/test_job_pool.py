"""The pool: the loop never waits, a maker that breaks stops nobody, closing ends it."""

import threading
import time
from collections.abc import Callable, Sequence

from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.job_pool import JobPool, Maker
from pigeon_recsys.streaming.job_queue import (
    Ended,
    Failed,
    JobQueue,
    Made,
    Outcome,
    QueueSettings,
    Waiting,
)
from pigeon_recsys.streaming.jobs import GenerationJob
from tests.streaming.generated import generated_item


def job(user_id: str) -> GenerationJob:
    return GenerationJob(user_id, "h", ("i",), Reference("r"), 0, "v", "new likes", 1, 0, 0)


class FakeMaker:
    """Makes a batch once it is told to; raises for the user `bad`."""

    def __init__(self) -> None:
        self.may_make = threading.Event()
        self.batches: list[list[str]] = []

    def make(self, batch: Sequence[Waiting]) -> list[Outcome]:
        self.batches.append([each.job.user_id for each in batch])
        self.may_make.wait()
        if any(each.job.user_id == "bad" for each in batch):
            raise ZeroDivisionError("by design")
        return [Made(generated_item())] * len(batch)

    def close(self) -> None:
        self.may_make.set()


def make_pool(*makers: Maker, capacity: int = 8) -> JobPool:
    queue = JobQueue(QueueSettings(batch_size=2, max_attempts=1))
    return JobPool(queue, makers, capacity)


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def ended_of(pool: JobPool, count: int) -> list[Ended]:
    ended: list[Ended] = []
    until(lambda: ended.extend(pool.ended()) or len(ended) >= count)
    return ended


def test_jobs_added_together_share_a_batch_and_nobody_waits_for_them() -> None:
    maker = FakeMaker()
    pool = make_pool(maker)
    pool.add([job("ada"), job("bob"), job("eve")])
    until(lambda: maker.batches)
    assert pool.load == (1, 2, False)
    assert pool.room == 5
    assert pool.ended() == []
    maker.may_make.set()
    assert {each.job.user_id for each in ended_of(pool, 3)} == {"ada", "bob", "eve"}
    assert maker.batches == [["ada", "bob"], ["eve"]]
    assert pool.room == 8
    pool.close()


def test_makers_work_side_by_side() -> None:
    makers = [FakeMaker(), FakeMaker()]
    pool = make_pool(*makers)
    pool.add([job(str(number)) for number in range(4)])
    until(lambda: all(maker.batches for maker in makers))
    assert pool.load == (0, 4, False)
    pool.close()


def test_a_maker_that_breaks_fails_its_batch_and_goes_on() -> None:
    maker = FakeMaker()
    maker.may_make.set()
    pool = make_pool(maker)
    pool.add([job("bad")])
    (ended,) = ended_of(pool, 1)
    assert isinstance(ended.outcome, Failed)
    assert isinstance(ended.outcome.error, ZeroDivisionError)
    pool.add([job("ada")])
    (ended,) = ended_of(pool, 1)
    assert isinstance(ended.outcome, Made)
    pool.close()


def test_what_is_dropped_makes_room_and_closing_ends_all_threads() -> None:
    maker = FakeMaker()
    pool = make_pool(maker)
    pool.add([job("ada"), job("bob"), job("eve")])
    until(lambda: maker.batches)
    pool.keep_only({job("ada").key})
    assert pool.load == (0, 2, False)
    pool.close()
    assert not any(thread.is_alive() for thread in pool._threads)
    assert maker.batches == [["ada", "bob"]], "a closed pool takes no batch"
