"""The Feast history store on real Redis and Postgres servers, by the documented settings."""

import shutil
from pathlib import Path

import pytest

from pigeon_recsys.errors import HistoryStoreError, SettingsError
from pigeon_recsys.testing.history_contract import HistoryStoreContract, make_history
from pigeon_recsys.testing.history_state_contract import (
    HistoryStateStoreContract,
    like,
    state_of,
)
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from tests.connectors.conftest import TABLE
from tests.connectors.servers import Postgres, Redis

SETTINGS = "feature_store.yaml"


class OnServer(HistoryStoreContract, HistoryStateStoreContract):
    """Both contracts; every store is opened anew on the one repository."""

    folder: Path

    def make_store(self) -> FeastHistoryStore:
        return FeastHistoryStore.open(self.folder)

    def make_state_store(self) -> FeastHistoryStore:
        return FeastHistoryStore.open(self.folder)


class TestFeastOnRedis(OnServer):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, on_redis: Path) -> None:
        self.folder = on_redis


class TestFeastOnPostgres(OnServer):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, on_postgres: Path) -> None:
        self.folder = on_postgres


def test_redis_that_drops_corrections_is_read_and_not_written(
    redis: Redis, on_redis: Path, tmp_path: Path
) -> None:
    """Feast's default keeps the row whose newest interaction is the newer one."""
    folder = shutil.copytree(on_redis, tmp_path / "repo")
    settings = folder / SETTINGS
    settings.write_text(settings.read_text().replace("skip_dedup: true", "skip_dedup: false"))
    FeastHistoryStore.open(on_redis).publish([make_history("ada")])
    store = FeastHistoryStore.open(folder)
    assert store.recent("ada", limit=9) == make_history("ada")
    with pytest.raises(SettingsError, match=r"skip_dedup: false.*Set it to true under online_st"):
        store.join([state_of([like(1)])])


def test_a_store_goes_on_after_its_postgres_connections_broke(
    postgres: Postgres, on_postgres: Path
) -> None:
    """Feast alone would use its one broken connection for ever."""
    store = FeastHistoryStore.open(on_postgres)
    store.join([state_of([like(1, "eve")], "eve")])
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    more = state_of([like(2, "eve")], "eve")
    with pytest.raises(HistoryStoreError, match="reading user 'eve' failed"):
        store.recent("eve", limit=9)
    assert len(store.recent("eve", limit=9).item_ids) == 1
    with pytest.raises(HistoryStoreError, match="joining 1 states failed"):
        store.join([more])
    assert store.join([more]).num_changed == 1


def test_postgres_keeps_no_readable_copy_of_a_state(postgres: Postgres, on_postgres: Path) -> None:
    """A String would be stored twice and indexed word by word."""
    FeastHistoryStore.open(on_postgres).join([state_of([like(1, "fay")], "fay")])
    with postgres.connect() as connection:
        rows = connection.execute(
            f"SELECT value_text FROM {TABLE} WHERE feature_name = 'state' AND value_text <> ''"
        ).fetchall()
        indexes = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = %s", [TABLE]
        ).fetchall()
    assert rows == []
    assert not any("tsvector" in definition for (definition,) in indexes)
