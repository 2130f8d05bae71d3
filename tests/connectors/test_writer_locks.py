"""The locks between writers: one at a time, given back by the dead, and never lost unnoticed."""

import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from feast.infra.online_stores.redis import RedisOnlineStoreConfig
from feast.infra.utils.postgres.postgres_config import PostgreSQLConfig

from pigeon_recsys.errors import HistoryStoreError, SettingsError
from pigeon_recsys.testing.history_state_contract import like, state_of
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.file_lock import FileLock
from pigeon_recsys_connectors.postgres_lock import PostgresLock
from pigeon_recsys_connectors.redis_lease import RedisLease
from pigeon_recsys_connectors.writer_lock import WAIT_S, WriterLock, writer_lock
from tests.connectors.processes import running
from tests.connectors.servers import LOOPBACK, POSTGRES_USER, Postgres, Redis

HOLD_S = 0.02
SHORT_WAIT_S = 0.05
SHORT_LEASE_S = 0.2


class WriterLockContract(ABC):
    """What every lock must do."""

    @abstractmethod
    def make_lock(self, wait_s: float = WAIT_S, name: str = "rows") -> WriterLock:
        """Return a handle on the lock, as another process would have one."""

    @abstractmethod
    def lose(self) -> None:
        """Let the lock slip from its holder, as the outside world may."""

    def test_holders_follow_one_another(self) -> None:
        shared = self.make_lock()
        locks = [shared, shared, self.make_lock()]
        spans = []

        def hold(lock: WriterLock) -> None:
            with lock.held() as check:
                start = time.monotonic()
                time.sleep(HOLD_S)
                check()
                spans.append((start, time.monotonic()))

        with ThreadPoolExecutor(len(locks)) as threads:
            list(threads.map(hold, locks))
        spans.sort()
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))

    def test_waiting_ends_with_an_error(self) -> None:
        waiting = self.make_lock(SHORT_WAIT_S)
        with (
            self.make_lock().held(),
            pytest.raises(HistoryStoreError, match=r"held .* for 0\.05 s, so nothing was written"),
            waiting.held(),
        ):
            pytest.fail("two held it")
        with waiting.held() as check:
            check()

    def test_a_failure_gives_the_lock_back(self) -> None:
        lock = self.make_lock(SHORT_WAIT_S)
        with pytest.raises(ValueError, match="the work failed"), lock.held():
            raise ValueError("the work failed")
        with self.make_lock(SHORT_WAIT_S).held() as check:
            check()

    def test_locks_of_other_rows_are_others(self) -> None:
        with self.make_lock().held(), self.make_lock(SHORT_WAIT_S, "other").held() as check:
            check()

    def test_a_lost_lock_is_noticed_before_the_push(self) -> None:
        lock = self.make_lock()
        with ExitStack() as stack:
            stack.enter_context(pytest.raises(HistoryStoreError, match="so nothing was written"))
            check = stack.enter_context(lock.held())
            self.lose()
            check()
        with lock.held() as check:
            check()


class TestFileLock(WriterLockContract):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_lock(self, wait_s: float = WAIT_S, name: str = "rows") -> FileLock:
        return FileLock(self.folder / name, wait_s)

    def lose(self) -> None:
        (self.folder / "rows").unlink()

    def test_the_lock_of_a_killed_process_is_free(self) -> None:
        with running(hold_for_ever, self.folder / "rows") as holder:
            assert holder.answer() == "held"
            with pytest.raises(HistoryStoreError), self.make_lock(SHORT_WAIT_S).held():
                pytest.fail("two held it")
        with self.make_lock(SHORT_WAIT_S).held() as check:
            check()


def hold_for_ever(pipe: "Connection[object, object]", path: Path) -> None:
    """Hold a lock until killed."""
    with FileLock(path).held():
        pipe.send("held")
        pipe.recv()


class TestPostgresLock(WriterLockContract):
    @pytest.fixture(autouse=True)
    def _remember_server(self, postgres: Postgres) -> None:
        self.server = postgres

    def make_lock(self, wait_s: float = WAIT_S, name: str = "rows") -> PostgresLock:
        config = PostgreSQLConfig(
            host=LOOPBACK,
            port=self.server.port,
            database="postgres",
            user=POSTGRES_USER,
            password="",
            sslmode="disable",
        )
        return PostgresLock(config, name, wait_s)

    def lose(self) -> None:
        with self.server.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            )


class TestRedisLease(WriterLockContract):
    @pytest.fixture(autouse=True)
    def _remember_server(self, redis: Redis) -> None:
        redis.client().flushdb()
        self.server = redis

    def make_lock(
        self, wait_s: float = WAIT_S, name: str = "rows", lease_s: float = 10.0
    ) -> RedisLease:
        config = RedisOnlineStoreConfig(connection_string=self.server.address)
        return RedisLease(config, name, wait_s, lease_s)

    def lose(self) -> None:
        self.server.client().delete("rows:writer")

    def test_a_lease_ends_with_its_time_and_the_sleeper_notices(self) -> None:
        """As of a process that was killed, or stopped and woken up again."""
        sleeper, next_one = self.make_lock(lease_s=SHORT_LEASE_S), self.make_lock()
        with (
            pytest.raises(HistoryStoreError, match="ended before the push, so nothing was written"),
            sleeper.held() as check,
            next_one.held(),
        ):
            check()

    def test_the_check_renews_the_lease(self) -> None:
        with self.make_lock(lease_s=SHORT_LEASE_S).held() as check:
            time.sleep(SHORT_LEASE_S / 2)
            check()
            assert self.server.client().pttl("rows:writer") > SHORT_LEASE_S * 1000 / 2

    def test_a_lease_that_ended_during_the_push_is_told(self) -> None:
        lease = self.make_lock(lease_s=SHORT_LEASE_S)
        with ExitStack() as stack:
            overwritten = "ended during a push, which may have overwritten"
            stack.enter_context(pytest.raises(HistoryStoreError, match=overwritten))
            check = stack.enter_context(lease.held())
            check()
            self.lose()

    def test_the_key_of_the_next_holder_is_left_alone(self) -> None:
        client = self.server.client()
        with (
            pytest.raises(HistoryStoreError, match="ended during a push"),
            self.make_lock().held(),
        ):
            client.set("rows:writer", "another's")
        assert client.get("rows:writer") == b"another's"


@pytest.mark.parametrize("store_type", ["dynamodb", "some.module.CassandraOnlineStore"])
def test_a_store_without_a_lock_is_refused(tmp_path: Path, store_type: str) -> None:
    config: Any = SimpleNamespace(online_store=SimpleNamespace(type=store_type), project="p")
    with pytest.raises(
        SettingsError,
        match=rf"{tmp_path} is of type '{store_type}'.*no lock .*\['postgres', 'redis', 'sqlite'\]",
    ):
        writer_lock(config, tmp_path, "rows")


def test_a_store_whose_lock_another_process_holds_is_still_read(folder: Path) -> None:
    """Neither a reader nor another thread's read waits for the writer that waits."""
    store = FeastHistoryStore.open(folder)
    store.join([state_of([like(1)])])
    (lock,) = (folder / "data").glob("online.db.*.lock")
    with ThreadPoolExecutor(1) as threads:
        with FileLock(lock).held():
            joining = threads.submit(store.join, [state_of([like(2)])])
            time.sleep(HOLD_S)
            assert store.recent("ada", limit=9).item_ids == (like(1).item_id,)
            assert not joining.done()
        assert joining.result().num_changed == 1
