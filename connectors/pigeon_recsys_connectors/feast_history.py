"""User histories in Feast: the ports `HistoryStore` and `HistoryStateStore` on a repository.

In:  histories (`create`, `publish`), what events have made known (`join`), a user id (`recent`),
     users (`states`), or users at moments (`historical`).
Out: histories, newest interaction last, with the time they were written; states.

Feast overwrites whatever is stored. So a writer reads, decides and pushes under a lock that every
process respects (`writer_lock.py` says of which kind in which store).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from feast import FeatureService, FeatureStore

from pigeon_recsys.errors import HistoryStoreError, SettingsError, UnknownUser
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import History
from pigeon_recsys_connectors.feast_repository import (
    VIEW,
    make_repository,
    open_repository,
    vendor_errors,
)
from pigeon_recsys_connectors.feast_rows import (
    from_row,
    state_from_row,
    state_of_published,
    to_rows,
)
from pigeon_recsys_connectors.writer_lock import Check, WriterLock, writer_lock

PUSH_SOURCE = "history_push"
VERSION = f"{VIEW}:version"
STATE = f"{VIEW}:state"
PUBLISH_BATCH = 200  # users a push: one costs 5 ms alone, 0.1 ms in company; readers wait for it

Row = Mapping[str, Any]
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
        self._feast: tuple[FeatureStore, FeatureService] | None = open_repository(self._folder)
        # SQLite serves every thread from one connection, where a reader would see half a push.
        self._lock = threading.Lock()
        self._read("a first read", [""], [VERSION])  # loads drivers, and finds a broken store now

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
        (row,) = self._read(f"reading user {user_id!r}", [user_id])
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
        """Push each history that is not stale to the online store; return how many were stored.

        A user whose history comes from events is left out: a history published whole cannot tell
        which of them it knows. The offline store is left as it is: pushing to a file rewrites
        all of it.
        """
        return sum(self._publish_batch(batch) for batch in _batches(histories))

    def states(self, user_ids: Iterable[str]) -> dict[str, HistoryState]:
        """Return what events have made known of each user; a user without a state is absent."""
        found: dict[str, HistoryState] = {}
        for batch in _batches(dict.fromkeys(user_ids)):
            doing = f"reading the states of {len(batch)} users from {batch[0]!r} on"
            for user_id, row in zip(batch, self._read(doing, batch, [STATE]), strict=True):
                state = state_from_row(row)
                if state is not None:
                    found[user_id] = state
        return found

    def join(self, states: Iterable[HistoryState]) -> int:
        """Store the join of each state with the stored one; return how many users' changed.

        History and state are written together, and nothing is written for a user of whom nothing
        new is known. A history that was published before a user's first events stays in it.
        """
        changed: set[str] = set()
        for batch in _batches(states):
            changed.update(self._join_batch(batch))
        return len(changed)

    def historical(self, moments: Sequence[tuple[str, int]]) -> list[History | None]:
        """Return each (user id, epoch ms)'s history as the offline store knew it at that time.

        One a moment, in order; None where the user had no row yet. What was only published
        or joined online is not there.
        """
        if not moments:
            return []
        users, times_ms = zip(*moments, strict=True)
        with self._opened(f"reading {len(moments)} moments") as (store, service):
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
        doing = f"publishing {len(batch)} histories from user {batch[0].user_id!r} on"
        users = list(dict.fromkeys(history.user_id for history in batch))
        num_stored = 0
        with self._writing(doing) as check:
            rows = dict(zip(users, self._read(doing, users, [VERSION, STATE]), strict=True))
            newest = {user_id: row["version"] for user_id, row in rows.items()}
            accepted = {}
            for history in batch:
                stored = newest[history.user_id]
                is_stale = stored is not None and history.version < stored
                if not is_stale and not rows[history.user_id]["state"]:
                    newest[history.user_id] = history.version
                    accepted[history.user_id] = history
                    num_stored += 1
            self._push(doing, check, accepted, {})
        return num_stored

    def _join_batch(self, batch: Sequence[HistoryState]) -> set[str]:
        doing = f"joining {len(batch)} states from user {batch[0].user_id!r} on"
        arriving: dict[str, HistoryState] = {}
        for state in batch:
            arriving[state.user_id] = _joined(arriving.get(state.user_id), state)
        with self._writing(doing) as check:
            stored = self.states(arriving)
            published = self._published(doing, [user for user in arriving if user not in stored])
            changed = {}
            for user_id, state in arriving.items():
                known = stored.get(user_id)
                if known is None and user_id in published:
                    known = state_of_published(published[user_id], state.capacity)
                joined = _joined(known, state)
                if joined != stored.get(user_id):
                    changed[user_id] = joined
            histories = {user_id: state.history() for user_id, state in changed.items()}
            self._push(doing, check, histories, changed)
        return set(changed)

    def _published(self, doing: str, user_ids: Sequence[str]) -> dict[str, History]:
        """Return the stored history of each of these users who has one."""
        rows = zip(user_ids, self._read(doing, user_ids), strict=True) if user_ids else ()
        histories = {user_id: from_row(user_id, row) for user_id, row in rows}
        return {user: history for user, history in histories.items() if history is not None}

    def _read(
        self, doing: str, user_ids: Sequence[str], features: list[str] | None = None
    ) -> list[Row]:
        """Return one row a user, in order: of these features, or else of what the slot reads."""
        with self._opened(doing) as (store, service):
            answer = store.get_online_features(features or service, {"user_id": list(user_ids)})
            columns = answer.to_dict()
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, values, strict=True)) for values in rows]

    def _push(
        self,
        doing: str,
        check: Check,
        histories: Mapping[str, History],
        states: Mapping[str, HistoryState],
    ) -> None:
        """Write one row a user if the lock still holds; a store writes a row whole."""
        if not histories:
            return
        rows = to_rows(histories.values(), int(self._clock() * 1000), states).to_pandas()
        with self._opened(doing) as (store, _):
            check()
            store.push(PUSH_SOURCE, rows)

    def _is_stale(self, history: History) -> bool:
        if self._max_age_s is None:
            return False
        if history.written_ms is None:
            return True
        return self._clock() - history.written_ms / 1000 > self._max_age_s

    @cached_property
    def _writer_lock(self) -> WriterLock:
        with self._opened("finding the lock between writers") as (store, _):
            return writer_lock(store.config, self._folder, VIEW)

    @contextmanager
    def _writing(self, doing: str) -> Iterator[Check]:
        """Let no other thread or process write; readers go on."""
        with vendor_errors(doing, self._folder), self._writer_lock.held() as check:
            yield check

    @contextmanager
    def _opened(self, doing: str) -> Iterator[tuple[FeatureStore, FeatureService]]:
        """Lend Feast's handle to one thread at a time.

        After a failure it is opened anew, because Feast never mends a broken connection.
        """
        with self._lock, vendor_errors(doing, self._folder):
            if self._feast is None:
                self._feast = open_repository(self._folder)
            try:
                yield self._feast
            except BaseException:
                self._feast = None
                raise


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
