"""Histories and requests in, published images out: each job's result exactly once.

In:  records of the topics `histories` and `generation-requests`, a pool that makes images.
Out: generated items on their topic; requests that failed on the dead-letter topic; and on the
     topic of generation state, what is remembered of each user.

What a worker remembers of a user, the job in hand among it, is the newest record of that user on a
compacted topic. Every step ends in one transaction that moves all of it together:

    records read   -> offsets, users' new states
    a job starts   -> the user's state with the job; the pool gets it after that
    a job ends     -> its item or dead letter, the user's state without the job

So a job is in hand or has its result, never both and never neither. A worker that takes partitions
over reads their states and goes on with the jobs in hand, and counts that before the pool gets
them; what an earlier try had stored under the job's key is found, and the generator is not asked
again.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from pigeon_recsys.errors import (
    EventError,
    GenerationError,
    HistoryStoreError,
    LogError,
    PartitionsMoved,
    SettingsError,
    UnknownItem,
    UnknownUser,
    WorkersLost,
)
from pigeon_recsys.hashed_ids import without_user
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.retrieval.candidates import taste_of
from pigeon_recsys.retrieval.history_selection import indexed_likes
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.dead_letters import dead_letter, failed_request, reason_of
from pigeon_recsys.streaming.demand_table import Turn
from pigeon_recsys.streaming.event_log import EventLog, NewRecord, Record, read_up_to
from pigeon_recsys.streaming.generation_memory import GenerationMemory
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.job_pool import JobPool
from pigeon_recsys.streaming.job_queue import Ended, Failed, Made
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys.streaming.observation import HISTORY_STORE, SILENT, Observer
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.streaming.takeovers import MOST, Takeovers
from pigeon_recsys.streaming.topics import GENERATED, HISTORIES, REQUESTS, STATE
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys.streaming.user_demand import UserDemand

logger = logging.getLogger(__name__)

RETRY_MS = 2_000  # before a store that failed is asked again
IMPOSSIBLE = (GenerationError, UnknownItem, UnknownUser)  # however often it is tried


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """Topics, and when an image is worth it."""

    trigger: TriggerSettings = field(default_factory=TriggerSettings)
    histories: str = HISTORIES
    requests: str = REQUESTS
    generated: str = GENERATED
    state: str = STATE  # compacted
    poll_s: float = 0.2
    most_takeovers: int = MOST  # by workers, of one job, before it is given up

    def __post_init__(self) -> None:
        if self.most_takeovers < 1:
            raise SettingsError(f"--takeovers must be at least 1, got {self.most_takeovers}.")

    @property
    def reads(self) -> tuple[str, str]:
        """The topics that a worker's log reads."""
        return self.histories, self.requests


@dataclass(slots=True)
class Step:
    """What a step comes to: what it writes, and the jobs that the pool gets once it is written."""

    records: Sequence[Record]
    new: list[NewRecord] = field(default_factory=list)
    letters: list[tuple[str, Exception]] = field(default_factory=list)  # topic, what was wrong
    started: list[GenerationJob] = field(default_factory=list)
    taken_over: list[GenerationJob] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    num_in_hand: int = 0  # jobs without a result, after it

    def __bool__(self) -> bool:
        return bool(self.records or self.new or self.num_in_hand)


class GenerationWorker:
    """One worker; `step` never waits for an image."""

    def __init__(
        self,
        log: EventLog,
        planner: Planner,
        pool: JobPool,
        codecs: Codecs,
        settings: GenerateSettings | None = None,
        observer: Observer = SILENT,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Raises `SettingsError` for topics of different numbers of partitions."""
        self._log = log
        self._planner = planner
        self._pool = pool
        self._codecs = codecs
        self._reader = MessageReader(codecs.requests, now_ms=now_ms)
        self._settings = settings or GenerateSettings()
        self._observer = observer
        self._now_ms = now_ms
        self._memory = GenerationMemory(
            log, self._settings.reads, self._settings.state, self._settings.trigger, observer
        )
        self._takeovers = Takeovers()

    def step(self) -> Step:
        """Read what has come, take in what has ended, start what is due; all of it or nothing."""
        records = self._log.poll(self._settings.poll_s)
        try:
            self._takeovers.found(self._memory.follow(self._now_ms()))
            step = self._decided(records)
            self._commit(step)
        except PartitionsMoved as moved:
            logger.info("partitions are another worker's now: %s", moved)
            self._observer.log_failed("moved")
            self._memory.forget()
            self._log.rewind()
            return Step(())
        finally:
            self._pool.keep_only(self._memory.jobs_in_hand)
        self._pool.add([*step.taken_over, *step.started])
        step.num_in_hand = len(self._memory.jobs_in_hand)
        self._tell(step)
        return step

    def _decided(self, records: Sequence[Record]) -> Step:
        step = Step(records)
        for record in records:
            self._take(record, step)
        for key in self._takeovers.due(self._memory.takeovers):
            self._take_over(key, step)
        for ended in self._pool.ended():
            self._end(ended, step)
        now_ms, room = self._now_ms(), self._pool.room - len(step.taken_over)
        for turn in islice(self._memory.due(now_ms), max(0, room)):
            if not self._start(turn, now_ms, step):
                break
        return step

    def _take(self, record: Record, step: Step) -> None:
        """Take in one record; what cannot be used becomes a dead letter."""
        if record.partition not in self._memory:
            raise LogError(
                f"a record of {record.topic}/{record.partition} came without that partition of "
                "the other topic. All workers of a group must read the same two topics."
            )
        is_request = record.topic == self._settings.requests
        try:
            user = self._asked(record) if is_request else self._learned(record)
        except (EventError, HistoryStoreError) as fault:
            step.new.append(dead_letter(record, fault))
            step.letters.append((record.topic, fault))
        else:
            self._memory.remember(record.partition, user, self._now_ms())

    def _asked(self, record: Record) -> UserDemand:
        """Return a user after a request."""
        request = self._reader.read(record.key, record.value)
        return self._memory.user(record.partition, request.user_id).with_request(request)

    def _learned(self, record: Record) -> UserDemand:
        """Return a user after a change of the history; what was erased is forgotten here too.

        Likes of items that were taken down, and that the index holds no more, do not count.
        """
        state = HistoryState.from_bytes(record.value or b"")
        user = self._memory.user(record.partition, state.user_id).without_erased(state.erased_ms)
        liked, vectors_ND = indexed_likes(self._planner.index, state.history().liked)
        return user.with_history(liked, taste_of(vectors_ND))

    def _take_over(self, key: str, step: Step) -> None:
        """Go on with a job that another worker left in hand, or give it up."""
        owner = self._memory.owner_of(key)
        assert owner is not None
        partition, user = owner
        assert user.job is not None
        if user.takeovers >= self._settings.most_takeovers:
            error = WorkersLost(
                f"{user.takeovers} workers took the job over and none ended it, so it may be what "
                "ends them: see their last logs, and why their processes ended."
            )
            self._end(Ended(user.job, Failed(error), gpu_s=0.0, attempts=0), step)
            return
        self._memory.remember(partition, user.taken_over(), self._now_ms())
        step.taken_over.append(user.job)

    def _end(self, ended: Ended, step: Step) -> None:
        """Publish a job's result, unless the job is in hand no more."""
        owner = self._memory.owner_of(ended.job.key)
        if owner is None:
            return
        partition, user = owner
        if is_made := isinstance(ended.outcome, Made):
            key, value = user.user_id.encode(), self._codecs.items.encode(ended.outcome.item)
            step.new.append(NewRecord(self._settings.generated, key, value, partition))
        else:
            self._refuse(_request_of(ended.job), ended.outcome.error, step)
        step.ended.append(ended)
        now_ms = self._now_ms()
        user = user.ended(ended.gpu_s, now_ms, is_made=is_made)
        self._memory.remember(partition, user, now_ms)

    def _start(self, turn: Turn, now_ms: int, step: Step) -> bool:
        """Start the job of a user whose turn it is, or say why not.

        False where the store failed: asking it again at once may take its time-out once more.
        """
        user, request = turn.user, turn.user.demand.request
        try:
            plan = self._planner.plan(turn, now_ms)
        except HistoryStoreError as exc:
            told = without_user(exc, user.user_id)
            logger.warning("no history could be read, next try in %d ms: %s", RETRY_MS, told)
            self._observer.store_failed(HISTORY_STORE)
            self._memory.put_off(turn, now_ms + RETRY_MS)
            return False
        except IMPOSSIBLE as exc:
            if request is None:  # nobody waits for it
                wait_ms = round(self._settings.trigger.cooldown_s * 1000)
                self._memory.put_off(turn, now_ms + wait_ms)
                return True
            self._refuse(request, exc, step)
            user = user.answered()
        else:
            self._observer.store_worked(HISTORY_STORE)
            if user.has_done(plan.job.key):
                user = user.answered()
            else:
                user = user.started(plan.job, plan.mark)
                step.started.append(plan.job)
        self._memory.remember(turn.partition, user, now_ms)
        return True

    def _refuse(self, request: GenerationRequest, error: Exception, step: Step) -> None:
        """Send a request that cannot be answered to the dead letters."""
        topic, value = self._settings.requests, self._codecs.requests.encode(request)
        step.new.append(failed_request(topic, request.user_id.encode(), value, error))
        step.letters.append((topic, error))

    def _commit(self, step: Step) -> None:
        step.new += self._memory.changes()
        if not (step.records or step.new):
            return
        started_s = time.monotonic()
        read = read_up_to(step.records)
        self._log.commit(read, step.new)
        self._observer.transaction(time.monotonic() - started_s, read)

    def _tell(self, step: Step) -> None:
        """Tell the observer what a step came to."""
        self._observer.polled((record.topic, record.partition) for record in step.records)
        for job in step.started:
            self._observer.job_started(job.reason)
        for topic, error in step.letters:
            self._observer.dead_letter(topic, reason_of(error))
        for job, outcome, gpu_s in ((each.job, each.outcome, each.gpu_s) for each in step.ended):
            now_ms = self._now_ms()
            seconds, age_s = (now_ms - job.started_ms) / 1000, (now_ms - job.caused_ms) / 1000
            if isinstance(outcome, Made):
                self._observer.job_made(seconds, gpu_s, age_s, outcome.was_stored)
            else:
                self._observer.job_failed(reason_of(outcome.error))
        waiting, running, is_open = self._pool.load
        self._observer.waiting(waiting, running)
        self._observer.breaker(is_open)
        self._observer.stepped(self._log.lag)


def _request_of(job: GenerationJob) -> GenerationRequest:
    """Return the request that asks for a job's image again."""
    request_id = job.request_id or f"job-{job.key}"
    return GenerationRequest(job.user_id, request_id, job.started_ms, job.reference, job.seed)
