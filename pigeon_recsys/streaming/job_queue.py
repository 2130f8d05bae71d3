"""Jobs that wait for a generator: which come next, what is tried again, what is given up.

In:  jobs; what came of each try.
Out: batches to try; jobs that ended, made or failed.

Three kinds of failure, and none stops the others. The job's own (its picture is refused, the
generator raises on it, its items are gone): tried again some times with a growing wait, or not at
all, then given up. A store's: tried until it is back. The generator's, seen as failures in a row:
the breaker lets nothing through for a while.

Pure logic: the time comes from the caller, and nothing is made here. One thread uses it at a time.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from pigeon_recsys.errors import SettingsError, StoreError
from pigeon_recsys.records import GeneratedItem, Generation
from pigeon_recsys.streaming.breaker import Breaker, BreakerSettings
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.waits import wait_after


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How jobs are batched and how often they are tried."""

    batch_size: int = 8  # jobs of different users that the generator makes in one pass
    max_attempts: int = 3  # at a job whose picture fails
    first_wait_s: float = 1.0  # before another try; doubled each time
    longest_wait_s: float = 60.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_attempts", "first_wait_s", "longest_wait_s"):
            if not (value := getattr(self, name)) > 0:
                raise SettingsError(f"jobs: {name} must be above 0, got {value}.")


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that has been made, checked and stored."""

    item: GeneratedItem
    gpu_s: float = 0.0  # the generator's time, shared among the jobs of a batch
    was_stored: bool = False  # found as an earlier try had left it


@dataclass(frozen=True, slots=True)
class Failed:
    """What a try met; `is_final` where another cannot succeed."""

    error: Exception
    gpu_s: float = 0.0
    is_final: bool = False
    made: Generation | None = None  # a picture that no store took; it need not be made again


Outcome = Made | Failed


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is tried no more."""

    job: GenerationJob
    outcome: Outcome
    gpu_s: float  # of all tries
    attempts: int


@dataclass(slots=True)
class Waiting:
    """A job in the queue."""

    job: GenerationJob
    ready_s: float
    attempt: int = 0  # number of the next try; as many pictures of it have failed
    tries: int = 0  # in a row that met a failing store
    made: Generation | None = None  # what such a try left
    gpu_s: float = 0.0

    @property
    def order(self) -> tuple[int, int]:
        """More urgent first, then older."""
        return -self.job.priority, self.job.started_ms


class JobQueue:
    """Holds every job from its start to its end, by key."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._breaker = Breaker(settings.breaker)
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, Waiting] = {}
        self._ended: list[Ended] = []
        self._unwanted: set[str] = set()  # running, and dropped since

    def __len__(self) -> int:
        """Jobs that have not ended."""
        return len(self._waiting) + len(self._running)

    @property
    def num_running(self) -> int:
        """Jobs being tried."""
        return len(self._running)

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open."""
        return self._breaker.is_open

    def add(self, job: GenerationJob, now_s: float) -> None:
        """Queue a job; one that is here already stays as it is."""
        self._unwanted.discard(job.key)
        if job.key not in self._running and job.key not in self._waiting:
            self._waiting[job.key] = Waiting(job, now_s)

    def keep_only(self, keys: Container[str]) -> None:
        """Drop all other jobs; what comes of those that run is not told."""
        self._waiting = {key: each for key, each in self._waiting.items() if key in keys}
        self._unwanted = {key for key in self._running if key not in keys}
        self._ended = [each for each in self._ended if each.job.key in keys]

    def take(self, now_s: float) -> list[Waiting]:
        """Return the next batch, nothing where none is ready or the breaker is open."""
        ready = sorted(
            (each for each in self._waiting.values() if each.ready_s <= now_s),
            key=lambda each: each.order,
        )
        if not ready or not self._breaker.may_try(now_s):
            return []
        size = 1 if self._breaker.is_open else self._settings.batch_size
        batch = ready[:size]
        for each in batch:
            self._running[each.job.key] = self._waiting.pop(each.job.key)
        return batch

    def finish(self, batch: Sequence[Waiting], outcomes: Sequence[Outcome], now_s: float) -> None:
        """Take in what came of a batch, in its order."""
        self._judge_generator(outcomes, now_s)
        for each, outcome in zip(batch, outcomes, strict=True):
            del self._running[each.job.key]
            each.gpu_s += outcome.gpu_s
            if each.job.key in self._unwanted:
                self._unwanted.discard(each.job.key)
            elif isinstance(outcome, Made) or self._is_given_up(each, outcome):
                self._ended.append(Ended(each.job, outcome, each.gpu_s, each.attempt + 1))
            else:
                self._wait(each, outcome, now_s)

    def ended(self) -> list[Ended]:
        """Return the jobs that have ended since this was asked last."""
        ended, self._ended = self._ended, []
        return ended

    def _judge_generator(self, outcomes: Sequence[Outcome], now_s: float) -> None:
        """Tell the breaker: one good picture clears the generator, none at all counts against it.

        What says nothing of the generator, a store that fails or items that are gone, does not
        count, and lets a trial be made again.
        """
        if any(isinstance(each, Made) and not each.was_stored for each in outcomes):
            self._breaker.succeeded()
            return
        for each in outcomes:
            if isinstance(each, Failed) and not each.is_final and not _is_store(each.error):
                self._breaker.failed(now_s)
                return
        self._breaker.said_nothing()

    def _is_given_up(self, waiting: Waiting, failed: Failed) -> bool:
        if failed.is_final:
            return True
        return not _is_store(failed.error) and waiting.attempt + 1 >= self._settings.max_attempts

    def _wait(self, waiting: Waiting, failed: Failed, now_s: float) -> None:
        if _is_store(failed.error):
            waiting.tries, waiting.made = waiting.tries + 1, failed.made or waiting.made
        else:
            waiting.attempt, waiting.tries, waiting.made = waiting.attempt + 1, 0, None
        failures = waiting.attempt + waiting.tries - 1
        settings = self._settings
        waiting.ready_s = now_s + wait_after(
            failures, settings.first_wait_s, settings.longest_wait_s
        )
        self._waiting[waiting.job.key] = waiting


def _is_store(error: Exception) -> bool:
    return isinstance(error, StoreError)
