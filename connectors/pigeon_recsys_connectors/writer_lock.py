"""One writer at a time in an online store, among all the processes that write to it.

In:  the online store that a Feast repository's settings name.
Out: its lock, or a `SettingsError` where a fence between writers cannot be had.

Feast overwrites whatever is stored, so a writer has to read, decide and push while nobody else
does. Each kind of store gives what it can: a lock on a file, in the server, or a lease.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from feast import RepoConfig

from pigeon_recsys.errors import SettingsError

WAIT_S = 30.0  # for another writer; a batch takes it well below a second

Check = Callable[[], None]


class WriterLock(Protocol):
    """Threads may share one; each `held` excludes every other, here and elsewhere."""

    def held(self) -> AbstractContextManager[Check]:
        """Hold the lock; what it yields raises `HistoryStoreError` once it is held no more.

        Raises `HistoryStoreError` when others hold it for longer than the lock waits.
        """


def writer_lock(config: RepoConfig, folder: Path, view: str) -> WriterLock:
    """Return the lock of one feature view in the online store of the repository in `folder`."""
    make = LOCKS.get(config.online_store.type)
    if make is None:
        raise SettingsError(
            f"the online store of {folder} is of type {config.online_store.type!r}, for which "
            f"there is no lock between writers. Write to one of {sorted(LOCKS)}; reading needs "
            "no lock."
        )
    return make(config, folder, f"{config.project}_{view}")


def _file_lock(config: RepoConfig, folder: Path, name: str) -> WriterLock:
    from pigeon_recsys_connectors.file_lock import FileLock

    database = folder / config.online_store.path
    return FileLock(database.with_name(f"{database.name}.{name}.lock"))


def _postgres_lock(config: RepoConfig, _: Path, name: str) -> WriterLock:
    from pigeon_recsys_connectors.postgres_lock import PostgresLock

    return PostgresLock(config.online_store, name)


def _redis_lease(config: RepoConfig, folder: Path, name: str) -> WriterLock:
    from pigeon_recsys_connectors.redis_lease import RedisLease

    if not config.online_store.skip_dedup:
        raise SettingsError(
            f"the Redis store of {folder} has skip_dedup: false, with which Feast drops every "
            "correction that does not make a history newer, and says nothing. Set it to true "
            "under online_store: the lock between writers does better what it was for."
        )
    return RedisLease(config.online_store, name)


LOCKS: dict[str, Callable[[RepoConfig, Path, str], WriterLock]] = {
    "postgres": _postgres_lock,
    "redis": _redis_lease,
    "sqlite": _file_lock,
}
