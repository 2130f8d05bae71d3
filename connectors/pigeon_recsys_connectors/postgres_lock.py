"""A writer's lock in the Postgres server that also holds the rows.

A transaction-level advisory lock on a connection of its own: the server gives it back when the
transaction ends or the connection breaks, however the process ends. It also holds behind a
pooler that hands out connections by transaction.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from feast.infra.utils.postgres.connection_utils import _get_conn as connect_as_feast
from feast.infra.utils.postgres.postgres_config import PostgreSQLConfig

from pigeon_recsys.errors import HistoryStoreError
from pigeon_recsys_connectors.writer_lock import WAIT_S, Check


class PostgresLock:
    """An advisory lock, the same for everyone who names the same database, schema and rows."""

    def __init__(self, config: PostgreSQLConfig, name: str, wait_s: float = WAIT_S) -> None:
        self._config = config
        self._name = f"{config.db_schema}.{name}"
        self._wait_s = wait_s
        self._threads = threading.Lock()  # a connection has one transaction at a time
        self._connection: psycopg.Connection | None = None

    @property
    def key(self) -> int:
        """The 64 bits by which the server knows the lock."""
        digest = hashlib.sha256(f"pigeon-recsys writer {self._name}".encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)

    @contextmanager
    def held(self) -> Iterator[Check]:
        """Hold the lock for as long as a transaction on its connection."""
        with self._threads:
            connection = self._connected()
            with connection.transaction():
                self._acquire(connection)
                yield lambda: self._check(connection)

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect_as_feast(self._config)
            self._connection.autocommit = True  # transactions where we say so, and no others
        return self._connection

    def _acquire(self, connection: psycopg.Connection) -> None:
        wait = f"{round(self._wait_s * 1000)}ms"
        try:
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [wait])
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [self.key])
        except psycopg.errors.LockNotAvailable as exc:
            raise HistoryStoreError(
                f"another process has held the advisory lock {self.key} of {self._name} for "
                f"{self._wait_s:g} s, so nothing was written. End it if it hangs (pg_locks names "
                "it), and repeat."
            ) from exc

    def _check(self, connection: psycopg.Connection) -> None:
        try:
            connection.execute("SELECT 1")
        except psycopg.Error as exc:
            raise HistoryStoreError(
                f"the connection that held the lock of {self._name} broke, so nothing was "
                f"written: {exc}. Repeat it."
            ) from exc
