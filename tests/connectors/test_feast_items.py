"""The Feast store of generated items: the port's contract, on every online store."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feast import FeatureStore

from pigeon_recsys.errors import ArtifactError, ItemStoreError, SettingsError
from pigeon_recsys.records import Reference
from pigeon_recsys.testing.generated_item_store_contract import (
    GeneratedItemStoreContract,
    make_item,
)
from pigeon_recsys.testing.history_contract import make_history
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_item_rows import ITEM_SCHEMA
from pigeon_recsys_connectors.feast_items import BATCH, FeastItemStore
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


def test_items_are_pushed_in_batches_and_the_offline_file_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeastItemStore.open(folder)
    before = (folder / "data/generated_items.parquet").read_bytes()
    store.put([make_item()])
    assert (folder / "data/generated_items.parquet").read_bytes() == before
    pushes: list[int] = []
    monkeypatch.setattr(FeatureStore, "push", lambda _, name, rows: pushes.append(len(rows)))
    store.put(make_item(number) for number in range(BATCH + 1))
    assert pushes == [BATCH, 1]


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
