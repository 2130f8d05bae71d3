"""Erase a user everywhere: items, history, pictures, index, caches, and what is on its way.

In:  a user id and the moment of the erasure.
Out: how much was erased in each place, and what went wrong where.

    items       nothing is shown or put from here on; what is left of them elsewhere is known
    history     empty from here on, whatever arrives late
    others      caches and whatever else was named
    images      pictures, and results and tickets under their jobs' keys
    index       vectors in memory, of all workers of a service; on disk by whoever follows the topic
    log         an erasure for ingest and the generate workers, removals for followers
    items       what was left elsewhere is forgotten, once all of the above has worked

Every step may be repeated. One that fails is reported and stops no other; the same call again,
with the same moment, does what is left. A moment later than the first would erase what the user
has done in between as well.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pigeon_recsys.errors import PigeonError
from pigeon_recsys.generation.image_names import files_of_picture, result_name, ticket_name
from pigeon_recsys.hashed_ids import hashed, without_user
from pigeon_recsys.history.events import Erased, HistoryEvent
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.ports import GeneratedItemStore, HistoryStateStore, ImageStore
from pigeon_recsys.records import ErasedItem
from pigeon_recsys.streaming.event_log import RecordWriter
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import Codec
from pigeon_recsys.streaming.removals import removal_records
from pigeon_recsys.streaming.sending import event_record
from pigeon_recsys.streaming.topics import EVENTS, GENERATED

logger = logging.getLogger(__name__)

ITEMS, HISTORY, IMAGES, INDEX, LOG = "items", "history", "images", "index", "log"  # places


class Forgets(Protocol):
    """A place that holds something of users, such as a cache."""

    def forget(self, user_id: str) -> int:
        """Forget a user and return how many entries there were."""


@runtime_checkable
class ShrinkingIndex(Protocol):
    """An index in memory that gives items up."""

    def remove(self, item_ids: Iterable[str]) -> int:
        """Take items out and return how many there were."""


@dataclass(frozen=True)
class ErasureLog:
    """Where an erasure is told to those who read the event log."""

    writer: RecordWriter
    events: str = EVENTS
    generated: str = GENERATED
    codec: Codec[HistoryEvent] = field(default_factory=JsonEvents)

    def tell(self, user_id: str, at_ms: int, items: Sequence[ErasedItem]) -> int:
        """Send the erasure, and the removals of items; return how many records."""
        erasure = event_record(self.events, Erased(user_id, at_ms), self.codec)
        ids = [each.item_id for each in items]
        records = [erasure, *removal_records(self.generated, user_id, ids)]
        self.writer.write(records)
        return len(records)


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What an erasure came to; it names no user."""

    at_ms: int  # of the erasure: repeat it with this
    erased: Mapping[str, int]  # by place: items, changed histories, files, vectors, records …
    failed: Mapping[str, str]  # by place: what went wrong, and what to do

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the user is left in any of the places."""
        return not self.failed


@dataclass(frozen=True)
class Erasure:
    """Erases users from the places it is made of; threads may share one."""

    items: GeneratedItemStore
    images: ImageStore
    histories: HistoryStateStore
    index: ShrinkingIndex | None = None
    others: Mapping[str, Forgets] = field(default_factory=dict)  # by the name in the report
    log: ErasureLog | None = None

    def erase(self, user_id: str, at_ms: int) -> ErasureReport:
        """Forget everything of a user up to a moment, epoch milliseconds."""
        report = _Report(user_id, {}, {})
        left: list[ErasedItem] = []
        report.step(ITEMS, lambda: self._hide(user_id, at_ms, left))
        for place, step in self._steps(user_id, at_ms, left).items():
            report.step(place, step)
        if left and not report.failed:
            report.step(ITEMS, lambda: self._settle(user_id, left))
        logger.info("erased user %s: %s", hashed(user_id), report.erased)
        return ErasureReport(at_ms, report.erased, report.failed)

    def _steps(
        self, user_id: str, at_ms: int, left: list[ErasedItem]
    ) -> dict[str, Callable[[], int]]:
        """Return all steps between the first and the last, by place."""
        steps: dict[str, Callable[[], int]] = {
            HISTORY: lambda: self._empty_history(user_id, at_ms),
            **{
                name: lambda place=place: place.forget(user_id)  # type: ignore[misc]
                for name, place in self.others.items()
            },
            IMAGES: lambda: self._delete_files(left),
        }
        if (index := self.index) is not None:
            steps[INDEX] = lambda: index.remove(each.item_id for each in left)
        if (log := self.log) is not None:
            steps[LOG] = lambda: log.tell(user_id, at_ms, left)
        return steps

    def _hide(self, user_id: str, at_ms: int, left: list[ErasedItem]) -> int:
        left.extend(self.items.erase_user(user_id, at_ms))
        return len(left)

    def _settle(self, user_id: str, left: Sequence[ErasedItem]) -> int:
        self.items.settle_erasure(user_id, [each.item_id for each in left])
        return len(left)

    def _empty_history(self, user_id: str, at_ms: int) -> int:
        """Join the erasure, in the number of places that the stored history has."""
        known = self.histories.states([user_id]).get(user_id, HistoryState.empty(user_id))
        return self.histories.join([known.merged([Erased(user_id, at_ms)])]).num_changed

    def _delete_files(self, left: Sequence[ErasedItem]) -> int:
        """Delete pictures, their sweeps, results and tickets; pixels name a picture."""
        names = [
            name
            for each in left
            for name in (
                result_name(each.job_key),
                ticket_name(each.job_key),
                *files_of_picture(each.content_hash),
            )
        ]
        return sum(self.images.delete(name) for name in names)


@dataclass(frozen=True, slots=True)
class _Report:
    """A report in the making."""

    user_id: str
    erased: dict[str, int]
    failed: dict[str, str]

    def step(self, place: str, step: Callable[[], int]) -> None:
        """Do a step; note what it erased, or why it failed."""
        try:
            self.erased[place] = step()
        except PigeonError as exc:
            told = without_user(exc, self.user_id)
            self.failed[place] = f"{told} Then repeat the erasure with the same time."
            logger.warning("erasing user %s: %s: %s", hashed(self.user_id), place, told)
        except Exception as exc:
            told = f"it failed with {type(exc).__name__}."
            self.failed[place] = f"{told} Then repeat the erasure with the same time."
            logger.exception("erasing user %s: %s failed", hashed(self.user_id), place)
