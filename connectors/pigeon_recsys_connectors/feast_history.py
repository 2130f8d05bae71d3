"""User histories in Feast: the ports `HistoryStore` and `HistoryStateStore` on a repository.

In:  histories (`create`, `publish`), what events have made known (`join`), a user id (`recent`),
     users (`states`), or users at moments (`historical`).
Out: histories, newest interaction last, with the time they were written; states.

Feast overwrites whatever is stored. So a writer reads, decides and writes (`feast_online.py`) under
a lock that every process respects (`writer_lock.py` says of which kind in which store).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureService, FeatureStore

from pigeon_recsys.errors import HistoryStoreError, SettingsError, UnknownUser
from pigeon_recsys.files import atomic_path
from pigeon_recsys.history.state import HistoryState, Joined
from pigeon_recsys.records import History
from pigeon_recsys_connectors.feast_online import OnlineRows, Row
from pigeon_recsys_connectors.feast_repository import (
    DATA,
    OFFLINE_FILE,
    VIEW,
    make_repository,
    open_repository,
    vendor_errors,
)
from pigeon_recsys_connectors.feast_rows import (
    FEATURES,
    from_row,
    rows_over_time,
    state_from_row,
    state_of_published,
)
from pigeon_recsys_connectors.writer_lock import Check, WriterLock, writer_lock

VERSION, STATE = "version", "state"
OF_HISTORY = tuple(name for name in FEATURES if name != STATE)  # as in the service `slot_history`
PUBLISH_BATCH = 1000  # users a write: each write has a fixed cost, and readers wait for it

Handle = tuple[FeatureStore, FeatureService, OnlineRows]
T = TypeVar("T")


class FeastHistoryStore:
    """Histories in the stores that a Feast feature repository names. Threads may share one.

    With `max_age_s`, a history that was written longer ago is read with `is_stale` set, as is one
    of unknown age; what to do then is the reader's to decide. `clock` gives the time in seconds.
    """

    def __init__(
        self, folder: Path, max_age_s: float | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        if max_age_s is not None and not max_age_s > 0:
            raise SettingsError(
                f"max_age_s must be above 0, or None for no limit; got {max_age_s}."
            )
        self._folder = folder.absolute()
        self._max_age_s = max_age_s
        self._clock = clock
        self._feast: Handle | None = _open(self._folder)
        # SQLite serves every thread from one connection, where a reader would see half a write.
        self._lock = threading.Lock()
        self._rows("a first read", [""], [VERSION])  # loads drivers, and finds a broken store now

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
    def create_over_time(cls, folder: Path, rows: Iterable[History]) -> "FeastHistoryStore":
        """Make a feature repository for `historical` alone; nothing goes online.

        A row holds from its version on, which is a time, until the user's next row.
        """
        make_repository(folder.absolute(), [])
        table = rows_over_time(rows, time.time_ns() // 1_000_000)
        with atomic_path(folder / DATA / OFFLINE_FILE) as path:
            pq.write_table(table, path)
        return cls(folder)

    @classmethod
    def open(
        cls,
        folder: Path,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> "FeastHistoryStore":
        """Open the feature repository in `folder`.

        Raises `ArtifactError` when there is none, `HistoryStoreError` when its store fails.
        """
        return cls(folder, max_age_s, clock)

    def recent(self, user_id: str, limit: int) -> History:
        """Return the `limit` newest interactions, newest last, and when they were written."""
        if limit < 1:
            raise SettingsError(f"limit must be at least 1, got {limit}.")
        (row,) = self._rows(f"reading user {user_id!r}", [user_id], OF_HISTORY)
        history = from_row(user_id, row)
        if history is None:
            raise UnknownUser(user_id)
        return replace(
            history,
            item_ids=history.item_ids[-limit:],
            times_ms=history.times_ms[-limit:],
            events=history.events[-limit:],
            is_stale=self._is_stale(history),
        )

    def publish(self, histories: Iterable[History]) -> int:
        """Write each history that is not stale to the online store; return how many were stored.

        A user whose history comes from events is left out: a history published whole cannot tell
        which of them it knows. The offline store is left as it is: adding to a file rewrites all
        of it.
        """
        return sum(self._publish_batch(batch) for batch in _batches(histories))

    def states(self, user_ids: Iterable[str]) -> dict[str, HistoryState]:
        """Return what events have made known of each user; a user without a state is absent."""
        found: dict[str, HistoryState | None] = {}
        for batch in _batches(dict.fromkeys(user_ids)):
            doing = f"reading the states of {len(batch)} users"
            rows = self._rows(doing, batch, [STATE])
            found |= zip(batch, map(state_from_row, rows), strict=True)
        return {user_id: state for user_id, state in found.items() if state is not None}

    def join(self, states: Iterable[HistoryState]) -> Joined:
        """Store the join of each state with the stored one; return what is stored now.

        History and state are written together, and nothing is written for a user of whom nothing
        new is known. A history that was published before a user's first events stays in it.
        """
        joined: dict[str, HistoryState] = {}
        changed: set[str] = set()
        for batch in _batches(states):
            known, new = self._join_batch(batch)
            joined.update(known)
            changed.update(new)
        return Joined(joined, len(changed))

    def historical(self, moments: Sequence[tuple[str, int]]) -> list[History | None]:
        """Return each (user id, epoch ms)'s history as the offline store knew it at that time.

        One a moment, in order; None where the user had no row yet. What was only published
        or joined online is not there.
        """
        if not moments:
            return []
        users, times_ms = zip(*moments, strict=True)
        with self._opened(f"reading {len(moments)} moments") as (store, service, _):
            times = pa.array(times_ms, pa.timestamp("ms", tz="UTC"))
            columns = {"user_id": users, "event_timestamp": times, "moment": range(len(moments))}
            asked = pa.table(columns).to_pandas()
            job = store.get_historical_features(asked, service)
            rows = {row["moment"]: row for row in job.to_arrow().to_pylist()}
        # Feast answers in an order of its own, and leaves out some of the rows it lacks.
        return [
            from_row(user_id, rows[moment]) if moment in rows else None
            for moment, (user_id, _) in enumerate(moments)
        ]

    def _publish_batch(self, batch: Sequence[History]) -> int:
        doing = f"publishing {len(batch)} histories"
        users = list(dict.fromkeys(history.user_id for history in batch))
        num_stored = 0
        with self._writing(doing) as check:
            rows = dict(zip(users, self._rows(doing, users, [VERSION, STATE]), strict=True))
            newest = {user_id: row["version"] for user_id, row in rows.items()}
            accepted = {}
            for history in batch:
                stored = newest[history.user_id]
                is_stale = stored is not None and history.version < stored
                if not is_stale and not rows[history.user_id]["state"]:
                    newest[history.user_id] = history.version
                    accepted[history.user_id] = history
                    num_stored += 1
            self._write(doing, check, accepted, {})
        return num_stored

    def _join_batch(
        self, batch: Sequence[HistoryState]
    ) -> tuple[dict[str, HistoryState], dict[str, HistoryState]]:
        """Return what is known of each user now, and what of it is new."""
        doing = f"joining {len(batch)} states"
        arriving: dict[str, HistoryState] = {}
        for state in batch:
            arriving[state.user_id] = _joined(arriving.get(state.user_id), state)
        with self._writing(doing) as check:
            joined, changed = {}, {}
            for state, row in zip(
                arriving.values(), self._rows(doing, list(arriving)), strict=True
            ):
                user_id, stored = state.user_id, state_from_row(row)
                published = None if stored else from_row(user_id, row)
                known = state_of_published(published, state.capacity) if published else stored
                joined[user_id] = _joined(known, state)
                if joined[user_id] != stored:
                    changed[user_id] = joined[user_id]
            histories = {user_id: state.history() for user_id, state in changed.items()}
            self._write(doing, check, histories, changed)
        return joined, changed

    def _rows(
        self, doing: str, user_ids: Sequence[str], features: Sequence[str] = FEATURES
    ) -> list[Row]:
        """Return one row a user, in order."""
        with self._opened(doing) as (_, _, online):
            return online.read(user_ids, features)

    def _write(
        self,
        doing: str,
        check: Check,
        histories: Mapping[str, History],
        states: Mapping[str, HistoryState],
    ) -> None:
        """Write one row a user if the lock still holds; a store writes a row whole."""
        if not histories:
            return
        with self._opened(doing) as (_, _, online):
            check()
            online.write(histories.values(), int(self._clock() * 1000), states)

    def _is_stale(self, history: History) -> bool:
        if self._max_age_s is None:
            return False
        if history.written_ms is None:
            return True
        return self._clock() - history.written_ms / 1000 > self._max_age_s

    @cached_property
    def _writer_lock(self) -> WriterLock:
        with self._opened("finding the lock between writers") as (store, _, _):
            return writer_lock(store.config, self._folder, VIEW)

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Check]:
        """Let no other thread or process write; readers go on."""
        with vendor_errors(doing, self._folder), self._writer_lock.held() as check:
            yield check

    @contextmanager
    def _opened(self, doing: str) -> Iterator[Handle]:
        """Lend Feast's handle to one thread at a time.

        After a failure it is opened anew, because Feast never mends a broken connection.
        """
        with self._lock, vendor_errors(doing, self._folder):
            if self._feast is None:
                self._feast = _open(self._folder)
            try:
                yield self._feast
            except BaseException:
                self._feast = None
                raise


def _open(folder: Path) -> Handle:
    store, service = open_repository(folder)
    return store, service, OnlineRows(store, VIEW)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, PUBLISH_BATCH)):
        yield batch


def _joined(known: HistoryState | None, state: HistoryState) -> HistoryState:
    """Return the join of two states of one user."""
    if known is None:
        return state
    try:
        return known.joined(state)
    except ValueError as exc:
        raise HistoryStoreError(
            f"{exc}: a history keeps its number of places. Use the stored one, or make the store "
            "anew and replay the events."
        ) from exc
