"""Interaction events in, user histories out: consume, transform, produce, exactly once.

In:  records of the topic `interactions`, a history store, an event log.
Out: histories in the store; their states on the changelog topic; what cannot be used on
     the dead-letter topic.

A batch ends in three steps, and a worker may die between any two of them:

    1. what the batch says of each user is joined into the store, which takes a repetition as
       nothing new and answers with all that is known of these users
    2. changelog, dead letters and the offsets read are committed in one transaction
    3. the next batch is read

Dead before 2, the batch is read again by whoever takes over: the store joins the same events to
the same bytes, and neither the changelog nor the offsets have moved. So each event counts once in
the store, each record has one outcome in the log, and the store is never behind the changelog.
The changelog holds the state of every user that a batch names, changed or not: after such a death
the store alone cannot tell what the changelog has not seen.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pigeon_recsys.errors import EventError, HistoryStoreError, PartitionsMoved
from pigeon_recsys.history.events import HistoryEvent
from pigeon_recsys.history.state import DEFAULT_CAPACITY, HistoryState
from pigeon_recsys.ports import HistoryStateStore
from pigeon_recsys.streaming.dead_letters import dead_letter
from pigeon_recsys.streaming.event_log import EventLog, NewRecord, Place, Record, read_up_to
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys.streaming.observation import HISTORY_STORE, SILENT, Observer
from pigeon_recsys.streaming.topics import HISTORIES
from pigeon_recsys.streaming.waits import wait_after

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How a worker takes its time."""

    changelog: str = HISTORIES  # topic, compacted: the newest state of every user
    capacity: int = DEFAULT_CAPACITY  # places of a history; the same for all workers
    poll_s: float = 1.0
    first_wait_s: float = 0.1  # after a failure; doubled at each further one in a row
    longest_wait_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of one batch."""

    num_records: int = 0
    num_dead: int = 0
    num_changed: int = 0  # histories

    def __bool__(self) -> bool:
        return self.num_records > 0

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            self.num_records + other.num_records,
            self.num_dead + other.num_dead,
            self.num_changed + other.num_changed,
        )


class HistoryIngest:
    """One worker; `step` reads and finishes a batch, or leaves everything as it was."""

    def __init__(
        self,
        log: EventLog,
        store: HistoryStateStore,
        reader: MessageReader[HistoryEvent],
        settings: IngestSettings | None = None,
        observer: Observer = SILENT,
    ) -> None:
        self._log = log
        self._store = store
        self._reader = reader
        self._settings = settings or IngestSettings()
        self._observer = observer
        self._failures = 0  # in a row

    def step(self) -> Ingested:
        """Read a batch and finish it; where the store or the log refuses, wait and rewind."""
        records = self._log.poll(self._settings.poll_s)
        done = self._finish_or_rewind(records) if records else Ingested()
        self._observer.stepped(self._log.lag)
        return done

    def _finish_or_rewind(self, records: Sequence[Record]) -> Ingested:
        try:
            done = self._finish(records)
        except PartitionsMoved as moved:
            logger.info("the batch is another worker's now: %s", moved)
            self._observer.log_failed("moved")
            self._log.rewind()
            return Ingested()
        except HistoryStoreError as failed:
            self._back_off(failed)
            return Ingested()
        self._failures = 0
        return done

    def _finish(self, records: Sequence[Record]) -> Ingested:
        started = time.monotonic()
        self._observer.polled((record.topic, record.partition) for record in records)
        events, unusable = self._read(records)
        joined = self._store.join(self._states(events))
        self._observer.store_worked(HISTORY_STORE)
        partition_of = {record.key: record.partition for record in records}
        topic = self._settings.changelog
        changelog = [
            NewRecord(topic, key := state.user_id.encode(), state.to_bytes(), partition_of[key])
            for state in joined.states.values()
        ]
        letters = [dead_letter(record, fault) for record, fault in unusable]
        self._commit(read_up_to(records), [*changelog, *letters])
        for record, fault in unusable:
            self._observer.dead_letter(record.topic, fault.reason)
        times_ms = (event.at_ms for of_user in events.values() for event in of_user)
        self._observer.batch_finished(time.monotonic() - started, times_ms, joined.num_changed)
        return Ingested(len(records), len(letters), joined.num_changed)

    def _commit(self, read: Mapping[Place, int], new: Sequence[NewRecord]) -> None:
        started = time.monotonic()
        self._log.commit(read, new)
        self._observer.transaction(time.monotonic() - started, read)

    def _read(
        self, records: Iterable[Record]
    ) -> tuple[Mapping[str, list[HistoryEvent]], list[tuple[Record, EventError]]]:
        """Return the events by user, and the records that are none, each with its fault."""
        events: dict[str, list[HistoryEvent]] = defaultdict(list)
        unusable = []
        for record in records:
            try:
                event = self._reader.read(record.key, record.value)
            except EventError as fault:
                unusable.append((record, fault))
            else:
                events[event.user_id].append(event)
        return events, unusable

    def _states(self, events: Mapping[str, list[HistoryEvent]]) -> Iterator[HistoryState]:
        """Yield what a batch says of each user, and nothing that was known before."""
        for user_id, new in events.items():
            yield HistoryState.empty(user_id, self._settings.capacity).merged(new)

    def _back_off(self, failed: HistoryStoreError) -> None:
        """Wait longer at each failure in a row, reading nothing; then the batch is read again."""
        settings = self._settings
        seconds = wait_after(self._failures, settings.first_wait_s, settings.longest_wait_s)
        self._failures += 1
        logger.warning("the store failed, next try in %.1f s: %s", seconds, failed)
        self._observer.store_failed(HISTORY_STORE)
        self._log.rewind()
        self._log.idle(seconds)
        self._observer.waited(seconds)
