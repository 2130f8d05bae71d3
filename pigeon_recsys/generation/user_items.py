"""What a store of generated items knows of one user: which items were made, and the erasure.

In:  items as they are put, an erasure, erased items whose traces elsewhere are gone.
Out: the newest items, whether an item may be put, what an erasure has left elsewhere.

Items and erasures may come in any order and as often as they like: an item stands at its latest
time of making, and what was made at or before the latest erasure is gone, also where it is put
after that. The list is whole, because an item that is not on it could not be erased; feeds read
its newest end.
"""

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pigeon_recsys.errors import ItemStoreError, SettingsError
from pigeon_recsys.records import ErasedItem, GeneratedItem

NUM_NEWEST = 50  # items at hand for a feed; a slot shows a few
NEVER_ERASED = -1
FORMAT = 1  # of the bytes


class MadeItem(NamedTuple):
    """One item of the list; the order of the fields is its order."""

    created_ms: int
    item_id: str


@dataclass(frozen=True, slots=True)
class UserItems:
    """One user's items; made empty, by `added`, `erased`, `settled` and `from_bytes`."""

    made: tuple[MadeItem, ...] = ()  # oldest first, each id once
    erased_ms: int = NEVER_ERASED
    left: tuple[ErasedItem, ...] = ()  # erased, and maybe with traces elsewhere; by id

    def takes(self, item: GeneratedItem, begun_ms: int | None = None) -> bool:
        """Say whether an item may be put: neither made nor begun before the erasure."""
        created_ms = item.provenance.created_ms
        return min(created_ms, created_ms if begun_ms is None else begun_ms) > self.erased_ms

    def newest(self, limit: int = NUM_NEWEST) -> tuple[str, ...]:
        """Return the ids of the newest items, newest first."""
        return tuple(each.item_id for each in self.made[::-1][:limit])

    def made_until(self, at_ms: int) -> tuple[str, ...]:
        """Return the ids of the items that an erasure at a moment erases."""
        return tuple(each.item_id for each in self.made if each.created_ms <= at_ms)

    def added(self, items: Iterable[GeneratedItem]) -> "UserItems":
        """Return the list with these items, less those that are erased already."""
        latest = {each.item_id: each.created_ms for each in self.made}
        for item in items:
            created_ms = item.provenance.created_ms
            latest[item.item_id] = max(created_ms, latest.get(item.item_id, created_ms))
        made = sorted(MadeItem(created_ms, item_id) for item_id, created_ms in latest.items())
        return self._without_erased(made)

    def erased(self, at_ms: int, left: Iterable[ErasedItem]) -> "UserItems":
        """Return the list after an erasure that leaves traces of these items elsewhere."""
        by_id = {each.item_id: each for each in (*self.left, *left)}
        known = replace(
            self,
            erased_ms=max(self.erased_ms, at_ms),
            left=tuple(by_id[item_id] for item_id in sorted(by_id)),
        )
        return known._without_erased(self.made)

    def settled(self, item_ids: Container[str]) -> "UserItems":
        """Return the list without erased items whose traces are gone."""
        return replace(self, left=tuple(each for each in self.left if each.item_id not in item_ids))

    def to_bytes(self) -> bytes:
        """Return the list as JSON; equal lists give equal bytes."""
        content = {
            "format": FORMAT,
            "erased_ms": self.erased_ms,
            "made": self.made,
            "left": [[each.item_id, each.content_hash, each.job_key] for each in self.left],
        }
        return json.dumps(content, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "UserItems":
        """Read what `to_bytes` wrote. Raises `ItemStoreError` on anything else."""
        try:
            content: dict[str, Any] = json.loads(data)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r} instead of {FORMAT}")
            made = tuple(MadeItem(int(ms), str(item_id)) for ms, item_id in content["made"])
            left = tuple(ErasedItem(*map(str, each)) for each in content["left"])
            return cls(made, int(content["erased_ms"]), left)
        except (ValueError, TypeError, KeyError) as exc:
            raise ItemStoreError(
                f"the stored list of a user's items cannot be read: {exc} in {data[:80]!r}. Read "
                "it with the version that wrote it, or delete it and put the items again."
            ) from exc

    def _without_erased(self, made: Iterable[MadeItem]) -> "UserItems":
        return replace(self, made=tuple(each for each in made if each.created_ms > self.erased_ms))


def check_limit(limit: int) -> None:
    """Raise `SettingsError` for a number of items that no store has at hand."""
    if not 1 <= limit <= NUM_NEWEST:
        raise SettingsError(
            f"limit must be 1 to {NUM_NEWEST}, got {limit}: no more of a user's items are at hand."
        )


def erased_item(item: GeneratedItem) -> ErasedItem:
    """Return what the traces of an item go by."""
    return ErasedItem(item.item_id, item.provenance.content_hash, item.job_key)


def newest_first(items: Iterable[GeneratedItem]) -> list[GeneratedItem]:
    """Return items by the time of their making and, within it, by id, both descending."""
    return sorted(items, key=lambda item: (item.provenance.created_ms, item.item_id), reverse=True)
