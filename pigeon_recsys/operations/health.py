"""Is this worker alive, and is it ready? Judged by what it tells while it works.

In:  what the worker tells its observer, and a clock.
Out: problems, each with what it is, since when, and what to do; none where all is well.

    not alive   the loop has not completed a step for `hang_s`: restart the worker
                a partition has lag and nothing of it was committed for `stall_s`
    not ready   no partitions yet, or their state is being restored; a store or the log fails;
                the generator's breaker is open; or not alive

A worker without lag may idle as long as it likes. One that waits for a store, a broker or a
generator is alive, and restarting it would not help; only once that is over does the time of a
stalled partition run again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pigeon_recsys.streaming.event_log import Place
from pigeon_recsys.streaming.observation import Observer

LOG, BREAKER = "log", "breaker"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a worker may show nothing."""

    start_s: float = 600.0  # before the first step: models load
    hang_s: float = 120.0  # for one step: a poll, waits of the store, a transaction, all timed out
    stall_s: float = 300.0  # for a partition with lag


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong now."""

    what: str
    for_s: float  # how long it has been so
    fix: str
    topic: str | None = None
    partition: int | None = None
    lag: int | None = None

    def as_json(self, now_s: float) -> dict[str, Any]:
        """Return it for a reader, with the time it began, and without what does not apply."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        since_s = time.gmtime(now_s - self.for_s)
        return {
            **told,
            "for_s": round(self.for_s, 1),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", since_s),
        }


class Watchdog(Observer):
    """Watches one worker. The worker tells in its threads, the server asks in its own."""

    def __init__(
        self, patience: Patience | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience = patience or Patience()
        self._clock = clock
        self._lock = threading.Lock()
        self._born_at = self._stepped_at = self._excused_at = clock()
        self._has_begun = False
        self._lag: dict[Place, int] = {}
        self._moved_at: dict[Place, float] = {}
        self._num_restoring, self._restoring_at = 0, self._born_at
        self._failing: dict[str, float] = {}  # what, since when

    def alive(self) -> list[Problem]:
        """Return why the worker should be restarted."""
        with self._lock:
            now = self._clock()
            return [*self._hang(now), *self._stalls(now)]

    def ready(self) -> list[Problem]:
        """Return why the worker does not do all of its work now."""
        with self._lock:
            now = self._clock()
            problems = [*self._hang(now), *self._stalls(now), *self._without_partitions(now)]
            return [*problems, *self._failures(now)]

    def stepped(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        """A step is a sign of life; a partition that is new, or whose lag fell, has moved."""
        waiting = dict(lag())
        with self._lock:
            self._has_begun, self._stepped_at = True, (now := self._clock())
            for place, count in waiting.items():
                if count == 0 or count < self._lag.get(place, count + 1):
                    self._moved_at[place] = now
            self._moved_at = {place: self._moved_at[place] for place in waiting}
            self._lag = waiting

    def restoring(self, num_partitions: int) -> None:
        """Each partition restored is a sign of life."""
        with self._lock:
            self._has_begun, self._stepped_at = True, self._clock()
            if not self._num_restoring:
                self._restoring_at = self._stepped_at
            self._num_restoring = num_partitions

    def transaction(self, seconds: float, read: Mapping[Place, int]) -> None:
        """What was read has moved, and the log works."""
        with self._lock:
            self._moved_at.update(dict.fromkeys(read, self._clock()))
            self._end(LOG)

    def log_failed(self, kind: str) -> None:
        """A log that fails is a problem; partitions that moved are none."""
        if kind == "failed":
            self._begin(LOG)

    def log_worked(self) -> None:
        """The log's problem is over."""
        with self._lock:
            self._end(LOG)

    def store_failed(self, kind: str) -> None:
        """A store fails, until it works."""
        self._begin(kind)

    def store_worked(self, kind: str) -> None:
        """The store's problem is over."""
        with self._lock:
            self._end(kind)

    def waited(self, seconds: float) -> None:
        """Who waits after a failure is alive."""
        with self._lock:
            self._stepped_at = self._clock()

    def breaker(self, is_open: bool) -> None:
        """An open breaker is a problem."""
        if is_open:
            self._begin(BREAKER)
        else:
            with self._lock:
                self._end(BREAKER)

    def _begin(self, what: str) -> None:
        with self._lock:
            self._failing.setdefault(what, self._clock())

    def _end(self, what: str) -> None:
        if self._failing.pop(what, None) is not None:
            self._excused_at = self._clock()

    def _hang(self, now: float) -> Iterator[Problem]:
        for_s = now - self._stepped_at
        if for_s >= (self._patience.hang_s if self._has_begun else self._patience.start_s):
            fix = "Restart the worker; nothing is lost. Its threads' stacks: py-spy dump --pid PID."
            yield Problem("the worker's loop hangs", for_s, fix)

    def _stalls(self, now: float) -> Iterator[Problem]:
        if self._failing:
            return
        for place, lag in sorted(self._lag.items()):
            for_s = now - max(self._moved_at.get(place, now), self._excused_at)
            if lag and for_s >= self._patience.stall_s:
                fix = "Restart the worker; if the partition stalls again, see docs/operations.md."
                yield Problem("a partition is stalled", for_s, fix, *place, lag)

    def _without_partitions(self, now: float) -> Iterator[Problem]:
        if not self._lag:
            fix = "Wait for the group; with more workers than partitions, some never have any."
            yield Problem("no partitions are assigned", now - self._born_at, fix)
        if self._num_restoring:
            what = f"the state of {self._num_restoring} partitions is being restored"
            yield Problem(what, now - self._restoring_at, "Wait.")

    def _failures(self, now: float) -> Iterator[Problem]:
        fixes = {
            LOG: ("the log fails", "Check the brokers; the worker tries again by itself."),
            BREAKER: ("the generator's breaker is open", "See why in the log; it tries again."),
        }
        for what, since in sorted(self._failing.items()):
            default = (f"the store of {what} fails", "Check the store; the worker tries again.")
            told, fix = fixes.get(what, default)
            yield Problem(told, now - since, fix)
