"""Generated items in Feast: the port `GeneratedItemStore` on the repository of the histories.

In:  generated items (`put`), item ids (`items`), a user (`of_user`), an erasure (`erase_user`).
Out: the items, exactly as they were put.

An item is a row, and so is each user's list of items. Feast overwrites whatever is stored, so a
writer reads the lists, decides and writes under a lock that every process respects
(`writer_lock.py`). Lists are written before items, so that what is stored is listed and can be
erased; a reader passes over a listed item that is not there yet.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

from feast import RepoConfig

from pigeon_recsys.errors import HistoryStoreError, ItemStoreError
from pigeon_recsys.generation.user_items import (
    UserItems,
    check_limit,
    erased_item,
    newest_first,
)
from pigeon_recsys.records import ErasedItem, GeneratedItem
from pigeon_recsys_connectors.feast_item_rows import (
    Row,
    blank_item_row,
    from_message,
    item_row,
    user_items_from_row,
    user_items_row,
)
from pigeon_recsys_connectors.feast_online import ViewRows
from pigeon_recsys_connectors.feast_repository import (
    ITEM_VIEW,
    USER_ITEMS_VIEW,
    open_item_repository,
    vendor_errors,
)
from pigeon_recsys_connectors.writer_lock import Check, WriterLock, writer_lock

MESSAGE, ITEM_IDS, STATE = "message", "item_ids", "state"
BATCH = 100  # items a write or a read; a write has a fixed cost, and readers of SQLite wait for it

T = TypeVar("T")


@dataclass(frozen=True)
class _Views:
    """Feast's handle on the repository; one thread uses it."""

    config: RepoConfig
    items: ViewRows
    users: ViewRows

    @classmethod
    def open(cls, folder: Path) -> "_Views":
        store = open_item_repository(folder)
        items = ViewRows(store, ITEM_VIEW, "item_id")
        return cls(store.config, items, ViewRows(store, USER_ITEMS_VIEW, "user_id"))


class FeastItemStore:
    """Items in the online store that a Feast feature repository names. Threads may share one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._views: _Views | None = _Views.open(self._folder)
        self._lock = threading.Lock()  # SQLite serves every thread from one connection
        self.items([""])  # loads drivers, and finds a broken store now

    @classmethod
    def open(cls, folder: Path) -> "FeastItemStore":
        """Open the feature repository in `folder`, as `FeastHistoryStore.create` makes it.

        Raises `ArtifactError` when there is none or it knows no generated items,
        `ItemStoreError` when its store fails.
        """
        return cls(folder)

    def put(self, items: Iterable[GeneratedItem], *, begun_ms: int | None = None) -> frozenset[str]:
        """Store items, of an id the last; return those left out, whose users were erased since.

        The offline store is left as it is.
        """
        left_out = [self._put_batch(batch, begun_ms) for batch in _batches(items)]
        return frozenset[str]().union(*left_out)

    def items(self, item_ids: Iterable[str]) -> dict[str, GeneratedItem]:
        """Return those that are stored, by id."""
        found: dict[str, GeneratedItem] = {}
        for batch in _batches(dict.fromkeys(item_ids)):
            with self._opened(f"reading {len(batch)} items from {batch[0]!r} on") as views:
                found |= _stored(views, batch)
        return found

    def of_user(self, user_id: str, limit: int) -> list[GeneratedItem]:
        """Return the items made for a user, newest first."""
        check_limit(limit)
        with self._opened(f"reading the items of user {user_id!r}") as views:
            (row,) = views.users.read([user_id], [ITEM_IDS])
            item_ids = (row[ITEM_IDS] or ())[:limit]
            found = _stored(views, item_ids) if item_ids else {}
        return newest_first(item for item in found.values() if item.provenance.user_id == user_id)

    def erase_user(self, user_id: str, at_ms: int) -> tuple[ErasedItem, ...]:
        """Forget a user's items made at or before a moment; return all that is not settled.

        An item that was put again for another user is that user's by now, and stays.
        """
        doing = f"erasing the items of user {user_id!r}"
        with self._writing(doing) as check:
            listed = self._listed(doing, [user_id])[user_id]
            unsettled = [each.item_id for each in listed.left]
            found = self.items([*listed.made_until(at_ms), *unsettled])
            gone = [item for item in found.values() if item.provenance.user_id == user_id]
            erased = listed.erased(at_ms, map(erased_item, gone))
            now_ms = _now_ms()
            blank = [blank_item_row(item.item_id, now_ms) for item in gone]
            self._write(doing, check, {user_id: erased}, blank)
        return erased.left

    def settle_erasure(self, user_id: str, item_ids: Iterable[str]) -> None:
        """Forget erased items whose traces elsewhere are gone."""
        doing = f"settling the erasure of user {user_id!r}"
        with self._writing(doing) as check:
            listed = self._listed(doing, [user_id])[user_id]
            settled = listed.settled(frozenset(item_ids))
            if settled != listed:
                self._write(doing, check, {user_id: settled}, [])

    def _put_batch(self, batch: Sequence[GeneratedItem], begun_ms: int | None) -> set[str]:
        """Store some items and return the ids of those left out."""
        last = {item.item_id: item for item in batch}
        rows = {item.item_id: item_row(item, _now_ms()) for item in last.values()}
        doing = f"storing {len(last)} items from {batch[0].item_id!r} on"
        with self._writing(doing) as check:
            listed = self._listed(doing, {item.provenance.user_id for item in last.values()})
            kept = [i for i in last.values() if listed[i.provenance.user_id].takes(i, begun_ms)]
            changed = {
                user_id: new
                for user_id, known in listed.items()
                if (new := known.added(i for i in kept if i.provenance.user_id == user_id)) != known
            }
            self._write(doing, check, changed, [rows[item.item_id] for item in kept])
        return last.keys() - {item.item_id for item in kept}

    def _listed(self, doing: str, user_ids: Iterable[str]) -> dict[str, UserItems]:
        users = list(user_ids)
        with self._opened(doing) as views:
            rows = views.users.read(users, [STATE])
        return dict(zip(users, map(user_items_from_row, rows), strict=True))

    def _write(
        self, doing: str, check: Check, lists: Mapping[str, UserItems], rows: Sequence[Row]
    ) -> None:
        """Write lists, then items, if the lock still holds."""
        now_ms = _now_ms()
        with self._opened(doing) as views:
            if lists:
                check()
                views.users.write_rows(
                    user_items_row(user_id, items, now_ms) for user_id, items in lists.items()
                )
            if rows:
                check()
                views.items.write_rows(rows)

    @cached_property
    def _writer_lock(self) -> WriterLock:
        with self._opened("finding the lock between writers") as views:
            return writer_lock(views.config, self._folder, USER_ITEMS_VIEW)

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Check]:
        """Let no other thread or process write; readers go on."""
        try:
            with (
                vendor_errors(doing, self._folder, ItemStoreError),
                self._writer_lock.held() as check,
            ):
                yield check
        except BaseException as exc:
            with self._lock:
                self._views = None  # what broke the lock may have broken it as well
            if isinstance(exc, HistoryStoreError):  # the lock's, which serves histories too
                raise ItemStoreError(f"{doing}: {exc}") from exc
            raise

    @contextmanager
    def _opened(self, doing: str) -> Iterator[_Views]:
        """Lend Feast's handle to one thread at a time.

        After a failure it is opened anew, because Feast never mends a broken connection.
        """
        with self._lock, vendor_errors(doing, self._folder, ItemStoreError):
            if self._views is None:
                self._views = _Views.open(self._folder)
            try:
                yield self._views
            except BaseException:
                self._views = None
                raise


def _stored(views: _Views, item_ids: Sequence[str]) -> dict[str, GeneratedItem]:
    rows = views.items.read(item_ids, [MESSAGE])
    messages = zip(item_ids, (row[MESSAGE] for row in rows), strict=True)
    return {item_id: from_message(item_id, message) for item_id, message in messages if message}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        yield batch
