"""Generated items in Feast: the port `GeneratedItemStore` on the repository of the histories.

In:  generated items (`put`), item ids (`items`).
Out: the items, exactly as they were put.

An item's row is replaced whole, so whoever writes it again changes nothing, and no lock between
writers is needed.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from feast import FeatureStore

from pigeon_recsys.errors import ItemStoreError
from pigeon_recsys.records import GeneratedItem
from pigeon_recsys_connectors.feast_item_rows import from_message, to_item_rows
from pigeon_recsys_connectors.feast_repository import (
    ITEM_VIEW,
    open_item_repository,
    vendor_errors,
)

PUSH_SOURCE = "item_push"
MESSAGE = f"{ITEM_VIEW}:message"
BATCH = 100  # items a push or a read; a push has a fixed cost, and readers of SQLite wait for it

T = TypeVar("T")


class FeastItemStore:
    """Items in the online store that a Feast feature repository names. Threads may share one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._feast: FeatureStore | None = open_item_repository(self._folder)
        self._lock = threading.Lock()  # SQLite serves every thread from one connection
        self.items([""])  # loads drivers, and finds a broken store now

    @classmethod
    def open(cls, folder: Path) -> "FeastItemStore":
        """Open the feature repository in `folder`, as `FeastHistoryStore.create` makes it.

        Raises `ArtifactError` when there is none or it knows no generated items,
        `ItemStoreError` when its store fails.
        """
        return cls(folder)

    def put(self, items: Iterable[GeneratedItem]) -> None:
        """Store items; of an id's the last stays. The offline store is left as it is."""
        for batch in _batches(items):
            newest = {item.item_id: item for item in batch}
            rows = to_item_rows(newest.values(), time.time_ns() // 1_000_000).to_pandas()
            doing = f"storing {len(newest)} items from {batch[0].item_id!r} on"
            with self._opened(doing) as store:
                store.push(PUSH_SOURCE, rows)

    def items(self, item_ids: Iterable[str]) -> dict[str, GeneratedItem]:
        """Return those that are stored, by id."""
        found: dict[str, GeneratedItem] = {}
        for batch in _batches(dict.fromkeys(item_ids)):
            with self._opened(f"reading {len(batch)} items from {batch[0]!r} on") as store:
                answer = store.get_online_features([MESSAGE], {"item_id": batch}).to_dict()
            for item_id, message in zip(batch, answer["message"], strict=True):
                if message:
                    found[item_id] = from_message(item_id, message)
        return found

    @contextmanager
    def _opened(self, doing: str) -> Iterator[FeatureStore]:
        """Lend Feast's handle to one thread at a time.

        After a failure it is opened anew, because Feast never mends a broken connection.
        """
        with self._lock, vendor_errors(doing, self._folder, ItemStoreError):
            if self._feast is None:
                self._feast = open_item_repository(self._folder)
            try:
                yield self._feast
            except BaseException:
                self._feast = None
                raise


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        yield batch
