"""Threads that take batches of jobs from the queue and make them, away from the poll loop.

In:  jobs, from the loop of a worker.
Out: jobs that ended, whenever the loop asks; it never waits for one.
"""

import logging
import threading
import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Protocol

from pigeon_recsys.streaming.job_queue import Ended, Failed, JobQueue, Outcome, Waiting
from pigeon_recsys.streaming.jobs import GenerationJob

logger = logging.getLogger(__name__)

LOOK_S = 0.1  # how often an idle thread looks for jobs whose wait is over
CLOSE_TIMEOUT_S = 5.0


class Maker(Protocol):
    """What a thread makes batches with; its own, so a generator need not be shared."""

    def make(self, batch: Sequence[Waiting]) -> list[Outcome]:
        """Return one outcome a job, in order; a batch takes a bounded time."""

    def close(self) -> None:
        """Stop what is being made; called from another thread, `make` then fails or returns."""


class JobPool:
    """One thread a maker; at most `capacity` jobs are taken in."""

    def __init__(
        self,
        queue: JobQueue,
        makers: Sequence[Maker],
        capacity: int,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._makers = list(makers)
        self._capacity = capacity
        self._now_s = now_s
        self._changed = threading.Condition()
        self._is_closing = False
        self._threads = [
            threading.Thread(target=self._run, args=[maker], daemon=True, name=f"maker-{number}")
            for number, maker in enumerate(self._makers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def room(self) -> int:
        """How many more jobs are taken in."""
        with self._changed:
            return self._capacity - len(self._queue)

    @property
    def load(self) -> tuple[int, int, bool]:
        """Jobs waiting, jobs running, and whether the breaker is open."""
        with self._changed:
            running = self._queue.num_running
            return len(self._queue) - running, running, self._queue.is_open

    def add(self, jobs: Iterable[GenerationJob]) -> None:
        """Queue jobs; together, so that they can share a batch."""
        with self._changed:
            for job in jobs:
                self._queue.add(job, self._now_s())
            self._changed.notify_all()

    def keep_only(self, keys: Container[str]) -> None:
        """Drop all other jobs."""
        with self._changed:
            self._queue.keep_only(keys)

    def ended(self) -> list[Ended]:
        """Return the jobs that have ended since this was asked last."""
        with self._changed:
            return self._queue.ended()

    def close(self) -> None:
        """Take no more batches, and stop what is being made."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for maker in self._makers:
            maker.close()
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_S)

    def _run(self, maker: Maker) -> None:
        while batch := self._next_batch():
            outcomes = _outcomes(maker, batch)
            with self._changed:
                self._queue.finish(batch, outcomes, self._now_s())
                self._changed.notify_all()

    def _next_batch(self) -> list[Waiting]:
        """Wait for a batch; return none once the pool closes."""
        with self._changed:
            while not self._is_closing:
                if batch := self._queue.take(self._now_s()):
                    return batch
                self._changed.wait(LOOK_S)
        return []


def _outcomes(maker: Maker, batch: Sequence[Waiting]) -> list[Outcome]:
    """Return what came of a batch; a fault of the maker's own fails it all, and stops nobody."""
    try:
        return maker.make(batch)
    except Exception as exc:
        logger.exception("a batch of %d jobs failed", len(batch))
        return [Failed(exc)] * len(batch)
