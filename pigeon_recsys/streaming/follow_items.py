"""Bring a FAISS index up to date with the generated items that are published.

In:  records of the topic `generated-items`, an index, the folder it is saved in.
Out: the items in the index, in memory at once and in the folder every so often; what cannot be
     used on the dead-letter topic.

The folder is saved before the offsets are committed. A follower that dies in between reads again
what the folder already holds, and adding an item again changes nothing; so no item is missed. An
item that was taken back (`removals.py`) leaves the index, and is not added where a worker that had
not yet heard of it publishes it later.

An index needs all partitions of the topic, so every index has a consumer group of its own and one
follower (`only_follower`).
"""

import fcntl
import hashlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from pigeon_recsys.errors import EventError, LogError, OutputError, PartitionsMoved
from pigeon_recsys.records import GeneratedItem, Vectors
from pigeon_recsys.retrieval.index_manifest import IndexSource
from pigeon_recsys.streaming.dead_letters import dead_letter
from pigeon_recsys.streaming.event_log import EventLog, Place, Record
from pigeon_recsys.streaming.generated_messages import GeneratedItemCodec
from pigeon_recsys.streaming.observation import SILENT, Observer
from pigeon_recsys.streaming.removals import removed_ids
from pigeon_recsys.streaming.waits import wait_after

logger = logging.getLogger(__name__)

WRONG_WIDTH = "wrong-width"  # reason of a dead letter


class GrowingIndex(Protocol):
    """An index that takes items, gives them up and can be saved; adding one again replaces it."""

    @property
    def dim(self) -> int:
        """Width of a vector."""

    def add(self, item_ids: Sequence[str], vectors: Vectors) -> None:
        """Add items, each id once."""

    def remove(self, item_ids: Iterable[str]) -> int:
        """Take items out and return how many there were."""

    def save(self, folder: Path) -> object:
        """Write the index to a folder, whole or not at all."""


@dataclass(frozen=True, slots=True)
class FollowSettings:
    """How a follower takes its time."""

    poll_s: float = 1.0
    save_every_s: float = 60.0  # saving writes all of the index, so not after every item
    first_wait_s: float = 0.1  # after a failure; doubled at each further one in a row
    longest_wait_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of some records."""

    num_records: int = 0
    num_items: int = 0
    num_dead: int = 0
    num_removed: int = 0

    def __bool__(self) -> bool:
        return self.num_records > 0

    def __add__(self, other: "Followed") -> "Followed":
        return Followed(
            self.num_records + other.num_records,
            self.num_items + other.num_items,
            self.num_dead + other.num_dead,
            self.num_removed + other.num_removed,
        )


@dataclass(slots=True)
class _Share:
    """What was read of one partition, while it was held without a break, and is not committed."""

    tenure: int | None
    read_up_to: int = 0
    unusable: list[tuple[Record, EventError]] = field(default_factory=list)


class ItemFollower:
    """One follower; `step` reads, and saves and commits when it is time, `finish` does so now."""

    def __init__(
        self,
        log: EventLog,
        index: GrowingIndex,
        folder: Path,
        codec: GeneratedItemCodec,
        settings: FollowSettings | None = None,
        observer: Observer = SILENT,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._index = index
        self._folder = folder
        self._codec = codec
        self._settings = settings or FollowSettings()
        self._observer = observer
        self._now_s = now_s
        self._finished_s = now_s()
        self._shares: dict[Place, _Share] = {}
        self._has_unsaved = False  # changes that the folder lacks
        self._taken_back: set[str] = set()  # items of erased users, since this follower started
        self._failures = 0  # in a row

    def step(self) -> Followed:
        """Read records, unless saving failed; save and commit where it is time."""
        done = Followed()
        if not self._failures:
            done = self._take(self._log.poll(self._settings.poll_s))
        if self._failures or self._now_s() - self._finished_s >= self._settings.save_every_s:
            self._finish_or_wait()
        self._observer.stepped(self._log.lag)
        return done

    def finish(self) -> None:
        """Save the index and commit what was read.

        Raises `OutputError` where the folder cannot be written; it and the offsets stay as they
        were. What was read of partitions that are another's by now is left to the other.
        """
        if self._has_unsaved:
            self._save()
        held = self._log.held()
        shares = {
            place: share for place, share in self._shares.items() if share.tenure == held.get(place)
        }
        try:
            if shares:
                self._commit(shares)
        except PartitionsMoved as moved:
            logger.info("what was read is read again: %s", moved)
            self._observer.log_failed("moved")
            self._log.rewind()
        except LogError:
            self._observer.log_failed("failed")
            raise
        self._shares.clear()
        self._finished_s = self._now_s()

    def _take(self, records: Sequence[Record]) -> Followed:
        """Put the items of some records into the index, and take out those taken back."""
        if not records:
            return Followed()
        self._observer.polled((record.topic, record.partition) for record in records)
        held = self._log.held()
        items: dict[str, GeneratedItem] = {}
        num_dead = 0
        for record in records:
            share = self._share(record, held.get((record.topic, record.partition)))
            share.read_up_to = record.offset + 1
            if taken_back := removed_ids(record):
                self._taken_back.update(taken_back)
                continue
            try:
                item = self._read(record)
            except EventError as fault:
                share.unusable.append((record, fault))
                num_dead += 1
            else:
                items[item.item_id] = item
        num_items, num_removed = self._change(items)
        return Followed(len(records), num_items, num_dead, num_removed)

    def _change(self, items: dict[str, GeneratedItem]) -> tuple[int, int]:
        """Bring the index up to date with some items; return how many came and how many left."""
        for item_id in self._taken_back:
            items.pop(item_id, None)
        num_removed = self._index.remove(self._taken_back)
        if items:
            vectors = np.stack([item.embedding for item in items.values()])
            self._index.add(list(items), vectors)
        self._has_unsaved |= bool(items or num_removed)
        return len(items), num_removed

    def _share(self, record: Record, tenure: int | None) -> _Share:
        place = record.topic, record.partition
        share = self._shares.get(place)
        if share is None or share.tenure != tenure:
            share = self._shares[place] = _Share(tenure)
        return share

    def _read(self, record: Record) -> GeneratedItem:
        if record.value is None:
            raise EventError("malformed", "the record has no value. Send a generated item.")
        item = self._codec.decode(record.value)
        if len(item.embedding) != self._index.dim:
            raise EventError(
                WRONG_WIDTH,
                f"the embedding of item {item.item_id!r} has {len(item.embedding)} numbers, this "
                f"index {self._index.dim}. Embed items and catalog with the same embedder.",
            )
        return item

    def _save(self) -> None:
        try:
            self._index.save(self._folder)
        except (OSError, RuntimeError) as exc:  # FAISS raises RuntimeError where writing fails
            raise OutputError(
                f"cannot save the index to {self._folder}: {exc}. Free space there and let this "
                "user write to it."
            ) from exc
        self._has_unsaved = False

    def _commit(self, shares: dict[Place, _Share]) -> None:
        started = time.monotonic()
        unusable = [each for share in shares.values() for each in share.unusable]
        read = {place: share.read_up_to for place, share in shares.items()}
        self._log.commit(read, [dead_letter(record, fault) for record, fault in unusable])
        self._observer.transaction(time.monotonic() - started, read)
        for record, fault in unusable:
            self._observer.dead_letter(record.topic, fault.reason)

    def _finish_or_wait(self) -> None:
        """Finish; where the folder refuses, wait longer at each failure in a row."""
        try:
            self.finish()
        except OutputError as failed:
            settings = self._settings
            seconds = wait_after(self._failures, settings.first_wait_s, settings.longest_wait_s)
            self._failures += 1
            logger.warning("next try in %.1f s: %s", seconds, failed)
            self._log.idle(seconds)
            self._observer.waited(seconds)
            return
        self._failures = 0


def group_of(folder: Path, source: IndexSource) -> str:
    """Return a consumer group for one index: of this machine, this folder, made from this.

    An index that is built anew from other data or by another embedder gets another group, and so
    is given every item that the topic still keeps.
    """
    told = (
        socket.gethostname(),
        str(folder.absolute()),
        source.embedder_sha256,
        source.dataset_fingerprint,
    )
    return f"pigeon-follow-{hashlib.sha256(repr(told).encode()).hexdigest()[:12]}"


@contextmanager
def only_follower(folder: Path) -> Iterator[None]:
    """Be the only one on this machine who follows into an index folder.

    The kernel ends it however the process ends. The lock's file, beside the folder, stays.
    """
    path = folder.absolute().with_name(f".{folder.absolute().name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc.strerror}. Name an index folder.") from exc
    try:
        _lock(descriptor, folder, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise OutputError(
            f"another process follows into {folder}. An index has one follower: end it first "
            f"(fuser {path} names it)."
        ) from exc
