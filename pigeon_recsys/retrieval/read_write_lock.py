"""A lock that many readers share and one writer has alone.

In:  threads that read something, and now and then one that changes it.
Out: no reader sees a change half done.

A writer that waits goes before readers that come later, so that reading without a break does not
keep it out. A thread that reads must not read again inside: it could wait for a writer that waits
for it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ReadWriteLock:
    """Taken in a `with`: `reading` together with others, `writing` alone."""

    def __init__(self) -> None:
        self._change = threading.Condition(threading.Lock())
        self._num_readers = 0
        self._num_writers = 0  # at work or waiting
        self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read, while nobody writes."""
        with self._change:
            while self._num_writers:
                self._change.wait()
            self._num_readers += 1
        try:
            yield
        finally:
            with self._change:
                self._num_readers -= 1
                if not self._num_readers:
                    self._change.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write, while nobody else writes or reads."""
        with self._change:
            self._num_writers += 1
            while self._num_readers or self._is_writing:
                self._change.wait()
            self._is_writing = True
        try:
            yield
        finally:
            with self._change:
                self._num_writers -= 1
                self._is_writing = False
                self._change.notify_all()
