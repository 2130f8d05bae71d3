"""So many threads for work under deadlines, and nobody queues for one.

In:  work, a deadline.
Out: what the work returns, or why there is nothing yet. Work that is given up runs to its end,
     since a thread cannot be stopped, and holds its thread until then.
"""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from pigeon_recsys.deadline import Deadline

T = TypeVar("T")


class NotDone(Exception):
    """The pool has no result."""


class PoolBusy(NotDone):
    """No thread is free."""


class PoolClosed(NotDone):
    """The pool takes no more work."""


class OutOfTime(NotDone):
    """The work was begun, and takes longer than there is time."""


class BoundedPool:
    """Any number of threads may bring work."""

    def __init__(self, size: int, name: str) -> None:
        self.size = size
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._free = threading.Semaphore(size)

    def run(self, work: Callable[[], T], deadline: Deadline, reserve_ms: float = 0.0) -> T:
        """Return what the work returns, `reserve_ms` before the deadline at the latest.

        Without a limit it waits for a thread as well. Raises `NotDone`, and what the work raises.
        """
        if not self._free.acquire(blocking=deadline.left_s() is None):
            raise PoolBusy
        try:
            future = self._threads.submit(self._work_and_free, work)
        except RuntimeError as exc:
            self._free.release()
            raise PoolClosed from exc
        future.add_done_callback(self._free_if_cancelled)
        try:
            return future.result(deadline.left_s(reserve_ms))
        except CancelledError as exc:
            raise PoolClosed from exc
        except TimeoutError as exc:
            if future.done():  # just now, or the error is the work's own
                return future.result()
            raise OutOfTime from exc

    def close(self) -> None:
        """Begin nothing more; nothing is waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work_and_free(self, work: Callable[[], T]) -> T:
        """Work, and free the thread before whoever waits for it goes on."""
        try:
            return work()
        finally:
            self._free.release()

    def _free_if_cancelled(self, future: "Future[Any]") -> None:
        """Free what work holds that never began."""
        if future.cancelled():
            self._free.release()
