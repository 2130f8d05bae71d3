"""A user's history as a value that events reach in any order.

In:  events about a user, as often and in whatever order they arrive.
Out: a state that is the same, byte for byte, whatever the order, the repetitions or the batches.

A state is a join-semilattice, as a state-based CRDT is (Shapiro et al., "Conflict-free Replicated
Data Types", 2011): `merged` is commutative, associative and idempotent. Three rules make it so.

    place     An entry stands at (time of the event, event id). Which of two values stands there
              does not depend on which came first: taken back wins, then the higher revision.
    capacity  The newest `capacity` places are kept. A place taken back stays taken, so that what
              an older event would do does not depend on whether it has been dropped before.
    erasure   Everything at or before the latest erasure is gone, also what arrives after it.

The cost of a merge grows with the capacity and the number of new events, never with the log.
"""

import hashlib
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from pigeon_recsys.errors import HistoryStoreError, SettingsError
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.records import EVENTS, History

DEFAULT_CAPACITY = 200  # places; a generator shows at most a handful, selection chooses among all
FORMAT = 1  # of the bytes
NEVER_ERASED = -1
_KINDS = (int, str, bool, int, str, str)  # of an entry's fields
_ENCODER = json.JSONEncoder(separators=(",", ":"))


class Entry(NamedTuple):
    """One place of a history, told by the first two fields.

    The order of the fields is the order of places, and of the values that may stand there.
    """

    at_ms: int
    event_id: str
    is_taken_back: bool
    revision: int  # this and what follows mean nothing once taken back
    item_id: str
    event: str


@dataclass(frozen=True, slots=True)
class HistoryState:
    """What is known of a user, oldest place first; made by `empty`, `merged` and `from_bytes`."""

    user_id: str
    capacity: int
    entries: tuple[Entry, ...] = ()
    erased_ms: int = NEVER_ERASED
    # The bytes once they were asked for: a store and a log of states both want them.
    _bytes: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def empty(cls, user_id: str, capacity: int = DEFAULT_CAPACITY) -> "HistoryState":
        """Return the state of a user of whom nothing is known yet."""
        if capacity < 1:
            raise SettingsError(f"the capacity of a history must be at least 1, got {capacity}.")
        return cls(user_id, capacity)

    @property
    def version(self) -> int:
        """Time of the newest place or erasure; never decreases, the same events give the same."""
        return max(self.erased_ms, self.entries[-1].at_ms if self.entries else 0, 0)

    def merged(self, events: Iterable[HistoryEvent]) -> "HistoryState":
        """Return the state that also knows these events. Raises `ValueError` on another user's."""
        entries, erased_ms = list(self.entries), self.erased_ms
        for event in events:
            if event.user_id != self.user_id:
                raise ValueError(f"event of user {event.user_id!r} for {self.user_id!r}'s history")
            if isinstance(event, Erased):
                erased_ms = max(erased_ms, event.at_ms)
            else:
                entries.append(_entry(event))
        return self._of(entries, erased_ms)

    def joined(self, other: "HistoryState") -> "HistoryState":
        """Return the state that knows what both know. Raises `ValueError` on another user's."""
        if (self.user_id, self.capacity) != (other.user_id, other.capacity):
            raise ValueError(
                f"histories of {self.user_id!r} with {self.capacity} places and of "
                f"{other.user_id!r} with {other.capacity} cannot be joined"
            )
        erased_ms = max(self.erased_ms, other.erased_ms)
        return self._of([*self.entries, *other.entries], erased_ms)

    def history(self, removed: Container[str] = ()) -> History:
        """Return what counts, without items that were taken down."""
        counting = [
            entry
            for entry in self.entries
            if not entry.is_taken_back and entry.item_id not in removed
        ]
        return History(
            user_id=self.user_id,
            item_ids=tuple(entry.item_id for entry in counting),
            times_ms=tuple(entry.at_ms for entry in counting),
            events=tuple(entry.event for entry in counting),
            version=self.version,
        )

    @property
    def content_hash(self) -> str:
        """Sixteen hex digits over the bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """Return the state as JSON; equal states give equal bytes."""
        if not self._bytes:
            self._bytes.append(self._encoded())
        return self._bytes[0]

    def _encoded(self) -> bytes:
        content = {
            "format": FORMAT,
            "user_id": self.user_id,
            "capacity": self.capacity,
            "erased_ms": self.erased_ms,
            "entries": self.entries,
        }
        return _ENCODER.encode(content).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "HistoryState":
        """Read what `to_bytes` wrote. Raises `HistoryStoreError` on anything else."""
        try:
            content: dict[str, Any] = json.loads(data)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r} instead of {FORMAT}")
            empty = cls.empty(str(content["user_id"]), int(content["capacity"]))
            entries = _read_entries(content["entries"])
            erased_ms = int(content["erased_ms"])
            is_rising = all(before[:2] < after[:2] for before, after in pairwise(entries))
            is_erased = bool(entries) and entries[0].at_ms <= erased_ms
            if len(entries) > empty.capacity or not is_rising or is_erased:
                raise ValueError("entries that are erased, not in order, or too many")
        except (ValueError, TypeError, KeyError, SettingsError) as exc:
            raise HistoryStoreError(
                f"a stored history cannot be read: {exc} in {data[:80]!r}. Delete it and replay "
                "the user's events."
            ) from exc
        return cls(empty.user_id, empty.capacity, entries, erased_ms)

    def _of(self, entries: Iterable[Entry], erased_ms: int) -> "HistoryState":
        """Return this user's state with the greatest value at each of the newest places."""
        by_place: dict[tuple[int, str], Entry] = {}
        for entry in sorted(entries):
            by_place[entry[:2]] = entry  # its place; sorted by it, then by what wins
        newest = list(by_place.values())[-self.capacity :]
        kept = tuple(entry for entry in newest if entry.at_ms > erased_ms)
        return HistoryState(self.user_id, self.capacity, kept, erased_ms)


@dataclass(frozen=True, slots=True)
class Joined:
    """What a store has after a join: the state of each user who was named, and the gain."""

    states: Mapping[str, HistoryState]
    num_changed: int  # users of whom something new became known


def _entry(event: Interacted | TakenBack) -> Entry:
    if isinstance(event, Interacted):
        return Entry(event.at_ms, event.event_id, False, event.revision, event.item_id, event.event)
    return Entry(event.at_ms, event.event_id, True, 0, "", "")


def _read_entries(rows: Sequence[Any]) -> tuple[Entry, ...]:
    """Return the entries; checked column by column, which takes a third of the time."""
    entries = tuple(map(Entry._make, rows))
    for kind, column in zip(_KINDS, zip(*entries, strict=True), strict=bool(entries)):
        if set(map(type, column)) != {kind}:
            raise ValueError(f"entries with {column!r}")
    events = {entry.event for entry in entries if not entry.is_taken_back}
    if not events.issubset(EVENTS):
        raise ValueError(f"events {sorted(events)}")
    return entries
