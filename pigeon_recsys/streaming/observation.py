"""What a worker tells of its work while it works; whoever operates it listens.

In:  calls by the workers' loops and their pools, so from any thread.
Out: nothing here; `pigeon_recsys.operations` turns them into metrics and health.

Workers know this class and no metrics library. Times are seconds, event times epoch milliseconds.
Topics, partitions and reasons are told, users never: an observer may keep a series for each.
"""

from collections.abc import Callable, Iterable, Mapping

from pigeon_recsys.streaming.event_log import Place

HISTORY_STORE, ITEM_STORE, IMAGE_STORE = "histories", "items", "images"  # kinds of stores


class Observer:
    """Listens to one worker and does nothing; override what matters."""

    def stepped(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        """A step of the loop ended, with work or without; `lag` may be called, now and here."""

    def restoring(self, num_partitions: int) -> None:
        """So many partitions still wait for their state; 0: all are served."""

    def polled(self, places: Iterable[Place]) -> None:
        """A record was read, for each place; the same place may come again."""

    def transaction(self, seconds: float, read: Mapping[Place, int]) -> None:
        """A transaction was committed; `read` is how far each partition is done now."""

    def log_failed(self, kind: str) -> None:
        """The log refused: `moved` where partitions are another worker's by now, else `failed`."""

    def log_worked(self) -> None:
        """The log answered, though nothing was committed."""

    def store_failed(self, kind: str) -> None:
        """A store refused; it counts as failing until `store_worked`."""

    def store_worked(self, kind: str) -> None:
        """A store took what it was given."""

    def waited(self, seconds: float) -> None:
        """The worker waited after a failure, reading nothing."""

    def dead_letter(self, topic: str, reason: str) -> None:
        """A record of this topic went to its dead-letter topic."""

    def batch_finished(
        self, seconds: float, event_times_ms: Iterable[int], num_changed: int
    ) -> None:
        """A batch of events is in the store and committed: when they happened, and the gain."""

    def job_started(self, reason: str) -> None:
        """A generation job went to the pool; `reason` is the trigger's."""

    def job_made(self, seconds: float, gpu_seconds: float, age_s: float, was_cached: bool) -> None:
        """A job's picture is published, `age_s` after what triggered it.

        `was_cached` where the picture had been made before, and only its publication was left.
        """

    def job_failed(self, reason: str) -> None:
        """A try at a job failed; `reason` is a word to count by, such as `timeout`."""

    def waiting(self, jobs_waiting: int, jobs_running: int) -> None:
        """So many jobs wait for a place in the pool, and so many have one."""

    def breaker(self, is_open: bool) -> None:
        """The generator's breaker opened, so that no job starts, or closed."""


SILENT = Observer()  # listens to nobody
