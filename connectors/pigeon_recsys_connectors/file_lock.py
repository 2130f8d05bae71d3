"""A writer's lock on a file beside a SQLite database.

The kernel gives it back however the process ends. It holds among the processes of one machine,
which are all that SQLite serves.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pigeon_recsys.errors import HistoryStoreError
from pigeon_recsys_connectors.writer_lock import WAIT_S, Check

POLL_S = 0.002  # the kernel's own waiting knows no time limit


class FileLock:
    """An advisory lock; the file stays when nobody holds it."""

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        self._path = path
        self._wait_s = wait_s

    @contextmanager
    def held(self) -> Iterator[Check]:
        """Hold the lock. A descriptor of its own for each holder also keeps threads apart."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._acquire(descriptor)
            yield lambda: self._check(descriptor)
        finally:
            os.close(descriptor)  # gives the lock back

    def _acquire(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as exc:
                if time.monotonic() > deadline:
                    raise HistoryStoreError(
                        f"another process has held {self._path} for {self._wait_s:g} s, so "
                        "nothing was written. End it if it hangs (fuser names it), and repeat."
                    ) from exc
            time.sleep(POLL_S)

    def _check(self, descriptor: int) -> None:
        """Raise unless the file is the one that other processes lock."""
        if not (self._path.exists() and os.path.samestat(os.fstat(descriptor), self._path.stat())):
            raise HistoryStoreError(
                f"{self._path} was replaced while it was held, so nothing was written. The store "
                "was made anew: open it again."
            )
