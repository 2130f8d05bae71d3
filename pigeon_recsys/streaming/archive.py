"""Copy the decision log from its topics to where it is analysed, such as a folder of parquet.

In:  records of `decisions`, `exposures` and `outcomes`.
Out: their entries in another slate log, in large batches; what cannot be read goes to the
     dead-letter topics.

A batch is written before its offsets are committed. An archiver that dies in between writes it
again, and whoever reads the log takes each entry once (`decision_tables.py`). Workers of a group
share the partitions.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import EventError, LogError, PartitionsMoved
from pigeon_recsys.ports import SlateLog
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.dead_letters import dead_letter
from pigeon_recsys.streaming.event_log import EventLog, Place, Record, read_up_to
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys.streaming.waits import wait_after

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """How an archiver takes its time."""

    poll_s: float = 1.0
    write_every_s: float = 60.0
    num_entries: int = 10_000  # written earlier once there are so many
    first_wait_s: float = 0.1  # after a failure; doubled at each further one in a row
    longest_wait_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of some records."""

    num_records: int = 0
    num_dead: int = 0

    def __bool__(self) -> bool:
        return self.num_records > 0

    def __add__(self, other: "Archived") -> "Archived":
        return Archived(self.num_records + other.num_records, self.num_dead + other.num_dead)


class Archiver:
    """One worker; `step` reads, and writes and commits when it is time, `finish` does so now."""

    def __init__(
        self,
        log: EventLog,
        archive: SlateLog,
        topics: TopicNames | None = None,
        codecs: Codecs | None = None,
        settings: ArchiveSettings | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        topics, codecs = topics or TopicNames(), codecs or Codecs()
        self._log = log
        self._archive = archive
        self._settings = settings or ArchiveSettings()
        self._now_s = now_s
        self._decoders: dict[str, Callable[[bytes], SlateEntry]] = {
            topics.decisions: codecs.decisions.decode,
            topics.exposures: codecs.exposures.decode,
            topics.outcomes: codecs.outcomes.decode,
        }
        self._entries: list[tuple[Record, SlateEntry]] = []  # read, and not committed
        self._unusable: list[tuple[Record, EventError]] = []
        self._tenures: dict[Place, int | None] = {}  # of their partitions, when they were read
        self._finished_s = now_s()
        self._failures = 0  # in a row

    def step(self) -> Archived:
        """Read records, unless writing failed; write and commit where it is time."""
        done = Archived()
        if not self._failures:
            done = self._take(self._log.poll(self._settings.poll_s))
        waited_s = self._now_s() - self._finished_s
        is_full = len(self._entries) + len(self._unusable) >= self._settings.num_entries
        if self._failures or is_full or waited_s >= self._settings.write_every_s:
            self._finish_or_wait()
        return done

    def finish(self) -> None:
        """Write what was read and commit it. Raises `LogError`; then nothing is committed."""
        if self._has_moved():
            self._forget()
            self._log.rewind()
        self._write()
        records = [record for record, _ in (*self._entries, *self._unusable)]
        if records:
            letters = [dead_letter(record, fault) for record, fault in self._unusable]
            try:
                self._log.commit(read_up_to(records), letters)
            except PartitionsMoved as moved:
                logger.info("what was read is read again: %s", moved)
                self._log.rewind()
        self._forget()
        self._finished_s = self._now_s()

    def _write(self) -> None:
        """Write all entries; where some are none that the archive takes, all but these."""
        if not self._entries:
            return
        try:
            self._archive.write([entry for _, entry in self._entries])
            return
        except EventError:
            entries, self._entries = self._entries, []
        for record, entry in entries:
            try:
                self._archive.write([entry])
                self._entries.append((record, entry))
            except EventError as fault:
                self._unusable.append((record, fault))

    def _take(self, records: Sequence[Record]) -> Archived:
        """Decode records; where a partition went to another worker, begin anew."""
        if self._has_moved():
            self._forget()
            self._log.rewind()
            return Archived()
        held = self._log.held()
        num_dead = len(self._unusable)
        for record in records:
            place = record.topic, record.partition
            self._tenures[place] = held.get(place)
            try:
                self._entries.append((record, self._read(record)))
            except EventError as fault:
                self._unusable.append((record, fault))
        return Archived(len(records), len(self._unusable) - num_dead)

    def _has_moved(self) -> bool:
        """Whether a partition of what was read has been another's since."""
        held = self._log.held()
        return any(tenure != held.get(place) for place, tenure in self._tenures.items())

    def _read(self, record: Record) -> SlateEntry:
        if record.value is None:
            raise EventError("malformed", "the record has no value. Send an entry of the log.")
        return self._decoders[record.topic](record.value)

    def _forget(self) -> None:
        self._entries, self._unusable, self._tenures = [], [], {}

    def _finish_or_wait(self) -> None:
        """Finish; where the archive refuses, wait longer at each failure in a row."""
        try:
            self.finish()
        except LogError as failed:
            settings = self._settings
            seconds = wait_after(self._failures, settings.first_wait_s, settings.longest_wait_s)
            self._failures += 1
            logger.warning("next try in %.1f s: %s", seconds, failed)
            self._log.idle(seconds)
            return
        self._failures = 0
