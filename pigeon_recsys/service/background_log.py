"""A slate log that nobody waits for: entries go into a queue, a thread writes them in batches.

In:  entries, from any thread; a log that may be slow, or fail.
Out: the same entries in the log, a batch at a time; what cannot be written is dropped and counted.

    wait      a batch is due once it is full, or its first entry is old enough
    write     a log that fails is tried again and again, the same batch first
    refused   an entry that the log takes in no batch is left out, and no other
    full      while the log fails the queue fills; then the newest entries are dropped

A process that dies loses what waits: at most `max_waiting` entries and one batch.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import EventError, LogError, SettingsError
from pigeon_recsys.ports import SlateLog
from pigeon_recsys.streaming.waits import wait_after

logger = logging.getLogger(__name__)

TELL_EVERY_S = 60.0
FULL, REFUSED, CLOSED, BROKEN = "full", "refused", "closed", "broken"  # why entries are dropped


@dataclass(frozen=True, slots=True)
class BackgroundSettings:
    """How much waits, and for how long."""

    max_waiting: int = 20_000  # entries; a decision on 500 candidates takes some 50 kB
    batch_size: int = 1_000
    batch_s: float = 10.0  # the longest that an entry waits for a batch to fill
    close_s: float = 5.0  # in which `close` writes what still waits
    first_wait_s: float = 0.5  # before a log that failed is tried again; doubled each time
    longest_wait_s: float = 30.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not (value := getattr(self, name)) > 0:
                raise SettingsError(f"log.{name} must be above 0, got {value}.")


class LogObserver:
    """Listens to a background log and does nothing; override what matters."""

    def written(self, num_entries: int) -> None:
        """So many entries are in the log."""

    def dropped(self, num_entries: int, reason: str) -> None:
        """So many entries are not, and never will be."""

    def failed(self) -> None:
        """A try at a batch failed; it is tried again."""


class BackgroundSlateLog:
    """Implements `SlateLog` over another; never blocks, never raises. Threads may share it."""

    def __init__(
        self,
        log: SlateLog,
        settings: BackgroundSettings | None = None,
        observer: LogObserver | None = None,
    ) -> None:
        self._log = log
        self._settings = settings or BackgroundSettings()
        self._observer = observer or LogObserver()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, SlateEntry]] = deque()  # with when each came
        self._close_by_s: float | None = None
        self._dropped: Counter[str] = Counter()
        self._told_s = -TELL_EVERY_S
        self._thread = threading.Thread(target=self._run, name="slate-log", daemon=True)
        self._thread.start()

    @property
    def num_dropped(self) -> int:
        """Entries that are in no log and never will be."""
        with self._changed:
            return self._dropped.total()

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Take entries in, as many as there is room for."""
        now_s = time.monotonic()
        with self._changed:
            is_closed = self._close_by_s is not None
            room = 0 if is_closed else self._settings.max_waiting - len(self._waiting)
            was_empty = not self._waiting
            self._waiting.extend((now_s, entry) for entry in entries[:room])
            if was_empty or len(self._waiting) >= self._settings.batch_size:
                self._changed.notify_all()  # else the writer knows already when a batch is due
        if len(entries) > room:
            self._drop(len(entries) - room, CLOSED if is_closed else FULL)

    def close(self) -> None:
        """Write what waits, and close the log; what takes longer than `close_s` is dropped."""
        with self._changed:
            if self._close_by_s is None:
                self._close_by_s = time.monotonic() + self._settings.close_s
            self._changed.notify_all()
        self._thread.join(self._settings.close_s)
        with self._changed:
            num_left = len(self._waiting)
            self._waiting.clear()
        if num_left:
            self._drop(num_left, CLOSED)

    def _run(self) -> None:
        while batch := self._next_batch():
            self._write(batch)
        try:
            self._log.close()
        except Exception:
            logger.exception("the slate log could not be closed")

    def _next_batch(self) -> list[SlateEntry]:
        """Wait until a batch is due; return none once all is written, or the time is up."""
        settings = self._settings
        with self._changed:
            while self._close_by_s is None and len(self._waiting) < settings.batch_size:
                due_s = self._waiting[0][0] + settings.batch_s if self._waiting else None
                left_s = None if due_s is None else due_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    break
                self._changed.wait(left_s)
            if self._is_over():
                return []
            size = min(len(self._waiting), settings.batch_size)
            return [self._waiting.popleft()[1] for _ in range(size)]

    def _write(self, batch: Sequence[SlateEntry]) -> None:
        """Write a batch, however often it takes; an entry that is refused is found by halving."""
        failures = 0
        while True:
            try:
                self._log.write(batch)
            except EventError as exc:
                self._write_halves(batch, exc)
            except LogError as exc:
                self._observer.failed()
                self._tell(f"it fails: {exc}")
                if self._waits_again(failures):
                    failures += 1
                    continue
                self._drop(len(batch), CLOSED)
            except Exception:  # a fault of the log's own; it costs this batch and no other
                logger.exception("the slate log cannot write a batch")
                self._drop(len(batch), BROKEN)
            else:
                self._observer.written(len(batch))
            return

    def _write_halves(self, batch: Sequence[SlateEntry], refused: EventError) -> None:
        if len(batch) == 1:
            self._tell(str(refused))
            self._drop(1, REFUSED)
            return
        middle = len(batch) // 2
        self._write(batch[:middle])
        self._write(batch[middle:])

    def _waits_again(self, failures: int) -> bool:
        """Wait for another try; False where the time to close is up."""
        wait_s = wait_after(failures, self._settings.first_wait_s, self._settings.longest_wait_s)
        with self._changed:
            if self._close_by_s is None:
                self._changed.wait_for(lambda: self._close_by_s is not None, wait_s)
            elif not self._is_over():
                self._changed.wait(min(wait_s, self._settings.close_s / 10))
            return not self._is_over()

    def _is_over(self) -> bool:
        return self._close_by_s is not None and (
            not self._waiting or time.monotonic() >= self._close_by_s
        )

    def _drop(self, num_entries: int, reason: str) -> None:
        with self._changed:
            self._dropped[reason] += num_entries
        self._observer.dropped(num_entries, reason)
        self._tell(f"entries were dropped: {dict(self._dropped)}")

    def _tell(self, fault: str) -> None:
        """Warn of a fault, at most once a minute."""
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            logger.warning("the slate log: %s", fault)
