"""The Feast store of generated items: the port's contract, on every online store."""

import re
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feast import FeatureStore

from pigeon_recsys.errors import ArtifactError, ItemStoreError, SettingsError
from pigeon_recsys.generation.user_items import UserItems
from pigeon_recsys.records import Reference
from pigeon_recsys.testing.generated_item_store_contract import (
    GeneratedItemStoreContract,
    make_item,
)
from pigeon_recsys.testing.history_contract import make_history
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_item_rows import ITEM_SCHEMA, item_row
from pigeon_recsys_connectors.feast_items import BATCH, FeastItemStore
from pigeon_recsys_connectors.feast_online import ViewRows
from pigeon_recsys_connectors.feast_repository import _definitions
from tests.connectors.servers import Postgres

ONLINE = Path("data/online.db")


class TestFeastItemsOnSqlite(GeneratedItemStoreContract):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, folder: Path) -> None:
        self.folder = folder

    def make_store(self) -> FeastItemStore:
        return FeastItemStore.open(self.folder)


class TestFeastItemsOnRedis(GeneratedItemStoreContract):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, on_redis: Path) -> None:
        self.folder = on_redis

    def make_store(self) -> FeastItemStore:
        return FeastItemStore.open(self.folder)


class TestFeastItemsOnPostgres(GeneratedItemStoreContract):
    @pytest.fixture(autouse=True)
    def _remember_folder(self, on_postgres: Path) -> None:
        self.folder = on_postgres

    def make_store(self) -> FeastItemStore:
        return FeastItemStore.open(self.folder)


@pytest.mark.parametrize("where", ["folder", "on_redis", "on_postgres"])
def test_the_service_gives_a_recommender_its_features(
    where: str, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(where)
    item, of_text = make_item(1), make_item(2)
    of_text = replace(
        of_text, provenance=replace(of_text.provenance, reference=Reference(text="a cat"))
    )
    FeastItemStore.open(folder).put([item, of_text])
    store = FeatureStore(repo_path=str(folder))
    service = store.get_feature_service("generated_item")
    answer = store.get_online_features(
        service, {"item_id": [item.item_id, of_text.item_id, "none"]}
    ).to_dict()
    assert set(answer) == set(ITEM_SCHEMA.names) - {
        *("message", "event_timestamp", "created_timestamp")
    }
    row = {name: values[0] for name, values in answer.items()}
    assert np.array_equal(np.array(row.pop("embedding"), np.float32), item.embedding)
    assert row == {
        "item_id": item.item_id,
        "image": item.image,
        "user_id": "ada",
        "reference_item_id": "item-02",
        "reason": "new likes",
        "model": "fake",
        "weights_version": "fake-1",
        "history_score": item.provenance.history_score,
        "reference_score": item.provenance.reference_score,
        "created_ms": item.provenance.created_ms,
    }
    assert answer["reference_item_id"][1] is None
    assert answer["image"][2] is None


def test_items_and_histories_share_a_repository(folder: Path) -> None:
    histories, items = FeastHistoryStore.open(folder), FeastItemStore.open(folder)
    histories.publish([make_history("ada")])
    items.put([make_item()])
    assert FeastHistoryStore.open(folder).recent("ada", limit=9) == make_history("ada")
    assert FeastItemStore.open(folder).items([make_item().item_id])


def test_items_are_written_in_batches_and_the_offline_files_stay(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeastItemStore.open(folder)
    files = [folder / "data/generated_items.parquet", folder / "data/user_items.parquet"]
    before = [file.read_bytes() for file in files]
    store.put([make_item()])
    assert [file.read_bytes() for file in files] == before
    writes: list[int] = []
    monkeypatch.setattr(ViewRows, "write_rows", lambda _, rows: writes.append(len(list(rows))))
    store.put(make_item(number) for number in range(BATCH + 1))
    assert writes == [1, BATCH, 1, 1], "each time the user's list, then the items"


def test_what_is_written_is_what_a_push_would_write(folder: Path) -> None:
    store, item = FeastItemStore.open(folder), make_item()
    store.put([item])
    rows = [_online(folder)]
    row = {**item_row(item, 1), "event_timestamp": pd.Timestamp(0, unit="ms", tz="UTC")}
    row["created_timestamp"] = row["event_timestamp"]
    FeatureStore(repo_path=str(folder)).push("item_push", pd.DataFrame([row]))
    assert [_online(folder)] == rows


def _online(folder: Path) -> list[tuple[bytes, str, bytes]]:
    """Return what the online store holds of items."""
    with closing(sqlite3.connect(folder / ONLINE)) as database:
        return database.execute(
            "SELECT entity_key, feature_name, value FROM pigeon_generated_items ORDER BY 1, 2"
        ).fetchall()


def test_writers_at_once_lose_none_of_a_users_items(folder: Path) -> None:
    """Each has read the list before the other wrote its own, where nothing keeps them apart."""
    stores = [FeastItemStore.open(folder) for _ in range(3)]
    items = [make_item(number) for number in range(30)]
    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(lambda n: stores[n % 3].put([items[n]]), range(len(items))))
    assert stores[0].of_user("ada", limit=50) == items[::-1]


def test_a_lock_that_is_held_for_too_long_is_the_item_stores_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = FeastItemStore.open(folder), FeastItemStore.open(folder)
    monkeypatch.setattr(store._writer_lock, "_wait_s", 0.01)
    with (
        other._writer_lock.held(),
        pytest.raises(ItemStoreError, match="storing 1 items .*another process has held"),
    ):
        store.put([make_item()])
    store.put([make_item()])


def test_a_list_that_no_version_can_read_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeastItemStore.open(folder)
    with monkeypatch.context() as other:
        other.setattr(UserItems, "to_bytes", lambda _: b'{"format":2}')
        store.put([make_item()])
    with pytest.raises(ItemStoreError, match="list of a user's items cannot be read: format 2"):
        store.put([make_item(2)])


def test_threads_may_share_a_store(folder: Path) -> None:
    store = FeastItemStore.open(folder)
    items = [make_item(number) for number in range(24)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda item: store.put([item]), items))
        found = list(threads.map(lambda item: store.items([item.item_id]), items))
    assert found == [{item.item_id: item} for item in items]


def test_an_item_that_no_message_carries_is_refused_and_nothing_stored(folder: Path) -> None:
    store = FeastItemStore.open(folder)
    bad = replace(make_item(2), embedding=np.ones(3, np.float32))
    with pytest.raises(SettingsError, match=r"item 'gen-.*cannot be stored: .*length is 1\.732"):
        store.put([make_item(1), bad])
    assert store.items([make_item(1).item_id]) == {}


def test_a_repository_that_does_not_know_whose_items_are_is_named(folder: Path) -> None:
    shipped = (folder / "definitions.py").read_text()
    older = re.sub(r"\nuser_item_file = .*", "", shipped, flags=re.DOTALL)
    (folder / "definitions.py").write_text(older)
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()
    FeatureStore(repo_path=str(folder)).apply(_definitions(folder))
    fault = r"they lack the view user_items\. Rebuild it with: cp .*definitions\.py .* apply"
    with pytest.raises(ArtifactError, match=fault):
        FeastItemStore.open(folder)
    (folder / "definitions.py").write_text(shipped)
    FeatureStore(repo_path=str(folder)).apply(_definitions(folder))
    FeastItemStore.open(folder).put([make_item()])
    assert FeastItemStore.open(folder).of_user("ada", limit=9) == [make_item()]


def test_a_repository_of_histories_alone_is_named_and_can_be_brought_up(folder: Path) -> None:
    shipped = (folder / "definitions.py").read_text()
    older = re.sub(r"\nitem = Entity.*", "", shipped, flags=re.DOTALL)
    (folder / "definitions.py").write_text(older)
    shutil.rmtree(folder / "data")
    (folder / "data").mkdir()
    store = FeatureStore(repo_path=str(folder))
    store.apply(_definitions(folder))
    fault = r"they lack the view generated_items\. Rebuild it with: cp .*definitions\.py .* apply"
    with pytest.raises(ArtifactError, match=fault):
        FeastItemStore.open(folder)
    FeastHistoryStore.open(folder).publish([make_history("ada")])
    (folder / "definitions.py").write_text(shipped)
    store.apply(_definitions(folder))
    FeastItemStore.open(folder).put([make_item()])
    assert FeastHistoryStore.open(folder).recent("ada", limit=9) == make_history("ada")


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"is no history store: it holds no feature_store"):
        FeastItemStore.open(tmp_path)


@pytest.mark.parametrize("content", [b"not a database" * 99, b""])
def test_a_broken_online_store_is_found_on_opening(folder: Path, content: bytes) -> None:
    (folder / ONLINE).write_bytes(content)
    with pytest.raises(ItemStoreError, match="reading 1 items from '' on failed .*store apply"):
        FeastItemStore.open(folder)


def test_a_store_that_fails_later_names_the_item(folder: Path) -> None:
    store = FeastItemStore.open(folder)
    (folder / ONLINE).write_bytes(b"not a database" * 99)
    with pytest.raises(ItemStoreError, match="storing 1 items from 'gen-.* failed in the Feast st"):
        store.put([make_item()])


def test_what_no_version_can_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeastItemStore.open(folder)
    with monkeypatch.context() as other:
        other.setattr(
            "pigeon_recsys_connectors.feast_item_rows.JsonGeneratedItems.encode",
            lambda *_: b'{"version": 2}',
        )
        store.put([make_item()])
    with pytest.raises(
        ItemStoreError, match="of item 'gen-.* cannot be read: .*Put the item again"
    ):
        store.items([make_item().item_id])


def test_a_store_goes_on_after_its_postgres_connections_broke(
    postgres: Postgres, on_postgres: Path
) -> None:
    store = FeastItemStore.open(on_postgres)
    store.put([make_item()])
    with postgres.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    with pytest.raises(ItemStoreError, match="storing 1 items"):
        store.put([make_item(2)])
    store.put([make_item(2)])
    assert len(store.items([make_item(1).item_id, make_item(2).item_id])) == 2
