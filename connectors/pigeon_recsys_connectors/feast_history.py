"""User histories in Feast: the `HistoryStore` port on a feature repository.

In:  histories (`create`, `publish`), or a user id (`recent`), or users at moments
     (`historical`).
Out: histories, newest interaction last.

Feast lets a late write overwrite a newer row, so `publish` reads the stored versions first and
leaves stale histories out. Within one process the read and the write are one step; between
processes they are not, so give each user one writer (as a Kafka topic keyed by user does).
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from pigeon_recsys.errors import SettingsError, UnknownUser
from pigeon_recsys.records import History
from pigeon_recsys_connectors.feast_repository import (
    make_repository,
    open_repository,
    vendor_errors,
)
from pigeon_recsys_connectors.feast_rows import from_row, to_rows

PUSH_SOURCE = "history_push"
VERSION = "user_history:version"
PUBLISH_BATCH = 200  # users a push: one costs 5 ms alone, 0.1 ms in company; readers wait for it


class FeastHistoryStore:
    """Histories in the stores that a Feast feature repository names. Threads may share one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._store, self._service = open_repository(self._folder)
        # SQLite serves every thread from one connection, where a reader would see half a push.
        self._lock = threading.Lock()
        with vendor_errors("a first read", self._folder):
            self._versions([""])  # loads the store's drivers, and finds a broken store now

    @classmethod
    def create(cls, folder: Path, histories: Iterable[History]) -> "FeastHistoryStore":
        """Make a self-contained feature repository in `folder` and open it.

        Every history becomes a row of the offline store, so a user may come with several
        versions; the highest is materialized into the online store. A history store already
        in `folder` is replaced; `OutputError` when the folder holds anything else.
        """
        make_repository(folder.absolute(), histories)
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> "FeastHistoryStore":
        """Open the feature repository in `folder`.

        Raises `ArtifactError` when there is none, `HistoryStoreError` when its store fails.
        """
        return cls(folder)

    def recent(self, user_id: str, limit: int) -> History:
        """Return the `limit` newest interactions, newest last."""
        if limit < 1:
            raise SettingsError(f"limit must be at least 1, got {limit}.")
        with self._lock, vendor_errors(f"reading user {user_id!r}", self._folder):
            answer = self._store.get_online_features(self._service, {"user_id": [user_id]})
            columns = answer.to_dict()
        history = from_row(user_id, {name: values[0] for name, values in columns.items()})
        if history is None:
            raise UnknownUser(user_id)
        return _newest(history, limit)

    def publish(self, histories: Iterable[History]) -> int:
        """Push each history that is not stale to the online store; return how many were stored.

        The offline store is left as it is: pushing to a file rewrites all of it.
        """
        return sum(self._publish_batch(batch) for batch in _batches(histories))

    def historical(self, moments: Sequence[tuple[str, int]]) -> list[History | None]:
        """Return each (user id, epoch ms)'s history as the offline store knew it at that time.

        One a moment, in order; None where the user had no row yet. What was only published
        online is not there.
        """
        if not moments:
            return []
        users, times_ms = zip(*moments, strict=True)
        with vendor_errors(f"reading {len(moments)} moments", self._folder):
            times = pa.array(times_ms, pa.timestamp("ms", tz="UTC"))
            columns = {"user_id": users, "event_timestamp": times, "moment": range(len(moments))}
            asked = pa.table(columns).to_pandas()
            job = self._store.get_historical_features(asked, self._service)
            rows = {row["moment"]: row for row in job.to_arrow().to_pylist()}
        # Feast answers in an order of its own, and leaves out some of the rows it lacks.
        return [
            from_row(user_id, rows[moment]) if moment in rows else None
            for moment, (user_id, _) in enumerate(moments)
        ]

    def _publish_batch(self, batch: Sequence[History]) -> int:
        doing = f"publishing {len(batch)} histories from user {batch[0].user_id!r} on"
        with self._lock, vendor_errors(doing, self._folder):
            newest = self._versions([history.user_id for history in batch])
            accepted = {}
            num_stored = 0
            for history in batch:
                stored = newest[history.user_id]
                if stored is None or history.version >= stored:
                    newest[history.user_id] = history.version
                    accepted[history.user_id] = history
                    num_stored += 1
            if accepted:
                self._store.push(PUSH_SOURCE, to_rows(accepted.values()).to_pandas())
        return num_stored

    def _versions(self, user_ids: Sequence[str]) -> dict[str, int | None]:
        """Return the stored version of each user, None for a user never seen."""
        answer = self._store.get_online_features([VERSION], {"user_id": user_ids})
        columns = answer.to_dict()
        return dict(zip(user_ids, columns["version"], strict=True))


def _batches(histories: Iterable[History]) -> Iterator[list[History]]:
    remaining = iter(histories)
    while batch := list(islice(remaining, PUBLISH_BATCH)):
        yield batch


def _newest(history: History, limit: int) -> History:
    return replace(
        history,
        item_ids=history.item_ids[-limit:],
        times_ms=history.times_ms[-limit:],
        events=history.events[-limit:],
    )
