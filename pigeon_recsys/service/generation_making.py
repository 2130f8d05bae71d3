"""How the service gets pictures made: by threads of its own, or by the workers behind Kafka.

In:  a job and the request it answers.
Out: the job's result in the image store under the job's key, or why it failed on its ticket.

Workers plan a job again from the history as they find it. Where that has changed since, theirs has
another key: its picture is published as ever, and the ticket is lost.
"""

import logging
import threading
from collections.abc import Sequence

from pigeon_recsys.errors import GeneratorBusy, StoreError
from pigeon_recsys.service.generations import Tickets
from pigeon_recsys.streaming.event_log import RecordWriter
from pigeon_recsys.streaming.generation_requests import GenerationRequest, JsonRequests
from pigeon_recsys.streaming.job_pool import JobPool, Maker
from pigeon_recsys.streaming.job_queue import Failed, JobQueue, Outcome, QueueSettings, Waiting
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.messages import Codec
from pigeon_recsys.streaming.sending import request_record
from pigeon_recsys.streaming.topics import REQUESTS

logger = logging.getLogger(__name__)

LOOK_S = 0.2  # between two looks for jobs that have ended
CLOSE_TIMEOUT_S = 5.0


class PoolMaking:
    """Makes jobs in this process, one thread a maker; at most `capacity` are in hand.

    `close` takes at most `CLOSE_TIMEOUT_S` and `job_pool.CLOSE_TIMEOUT_S` for each maker.
    """

    def __init__(
        self,
        makers: Sequence[Maker],
        tickets: Tickets,
        capacity: int,
        queue: QueueSettings | None = None,
    ) -> None:
        self._running = _Running()
        self._tickets = tickets
        self._capacity = capacity
        self._pool = JobPool(
            JobQueue(queue or QueueSettings()),
            [_NotingMaker(maker, self._running) for maker in makers],
            capacity,
        )
        self._lock = threading.Lock()
        self._in_hand: dict[str, GenerationJob] = {}
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._settle, name="tickets", daemon=True)
        self._thread.start()

    def start(self, job: GenerationJob, request: GenerationRequest) -> None:
        """Queue a job. Raises `GeneratorBusy`."""
        with self._lock:
            self._take_in_ended()
            if job.key in self._in_hand:
                return
            if len(self._in_hand) >= self._capacity or self._is_closing.is_set():
                raise GeneratorBusy(
                    f"{len(self._in_hand)} images wait to be made, {self._capacity} may. "
                    "Ask again later."
                )
            self._in_hand[job.key] = job
            self._pool.add([job])

    def is_running(self, key: str) -> bool:
        """Say whether a job is being made now."""
        return key in self._running

    def forget(self, user_id: str) -> Sequence[str]:
        """Drop a user's jobs and return their keys; what becomes of one that runs is not told."""
        with self._lock:
            dropped = [key for key, job in self._in_hand.items() if job.user_id == user_id]
            for key in dropped:
                del self._in_hand[key]
            self._pool.keep_only(self._in_hand.keys())
        return dropped

    def close(self) -> None:
        """Start no more, and stop what is being made; tickets that wait are lost."""
        self._is_closing.set()
        self._thread.join(CLOSE_TIMEOUT_S)
        self._pool.close()

    def _settle(self) -> None:
        while not self._is_closing.wait(LOOK_S):
            with self._lock:
                self._take_in_ended()

    def _take_in_ended(self) -> None:
        """Note on its ticket what failed; what was made is found by its result.

        Under the lock, so that a job that is seen to have failed can be started again.
        """
        for ended in self._pool.ended():
            was_in_hand = self._in_hand.pop(ended.job.key, None) is not None
            if was_in_hand and isinstance(ended.outcome, Failed):
                self._note(ended.job, ended.outcome.error)

    def _note(self, job: GenerationJob, error: Exception) -> None:
        try:
            self._tickets.fail(job, error)
        except StoreError as exc:
            logger.warning("ticket %s failed, which its store does not take: %s", job.key, exc)


class WorkerMaking:
    """Asks the workers for jobs; a request is on its topic when `start` returns."""

    def __init__(
        self,
        writer: RecordWriter,
        topic: str = REQUESTS,
        codec: Codec[GenerationRequest] | None = None,
    ) -> None:
        self._writer = writer
        self._topic = topic
        self._codec = codec or JsonRequests()

    def start(self, job: GenerationJob, request: GenerationRequest) -> None:
        """Write the request to its topic. Raises `LogError`."""
        self._writer.write([request_record(self._topic, request, self._codec)])

    def is_running(self, key: str) -> bool:
        """False: only workers know."""
        return False

    def forget(self, user_id: str) -> Sequence[str]:
        """Return nothing: what waits is with the workers, who learn of it from the history."""
        return ()

    def close(self) -> None:
        """Let go of the writer."""
        self._writer.close()


class _Running:
    """The keys of jobs that are being made."""

    def __init__(self) -> None:
        self._keys: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, keys: frozenset[str]) -> None:
        with self._lock:
            self._keys |= keys

    def remove(self, keys: frozenset[str]) -> None:
        with self._lock:
            self._keys -= keys


class _NotingMaker:
    """A maker that notes what it is making."""

    def __init__(self, maker: Maker, running: _Running) -> None:
        self._maker = maker
        self._running = running

    def make(self, batch: Sequence[Waiting]) -> list[Outcome]:
        keys = frozenset(each.job.key for each in batch)
        self._running.add(keys)
        try:
            return self._maker.make(batch)
        finally:
            self._running.remove(keys)

    def close(self) -> None:
        self._maker.close()
