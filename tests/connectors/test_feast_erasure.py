"""Erasing a user from what Feast and the image store keep: nothing is left, whatever dies."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pigeon_recsys.errors import ArtifactError, HistoryStoreError, ItemStoreError
from pigeon_recsys.generation.image_names import picture_name, result_name
from pigeon_recsys.generation.user_items import erased_item
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import History
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.service.erasure import Erasure
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.testing.generated_item_store_contract import CREATED_MS, DIM, make_item
from pigeon_recsys.testing.history_contract import make_history
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_item_rows import Row
from pigeon_recsys_connectors.feast_items import FeastItemStore
from pigeon_recsys_connectors.feast_offline import FeastOfflineFiles
from pigeon_recsys_connectors.feast_online import ViewRows
from pigeon_recsys_connectors.image_files import ImageFiles

ONLINE = Path("data/online.db")
LATER = CREATED_MS + 1_000
NUM_KEYS = 2 * 3  # features of a user's list; each in the table and in its two indexes


@pytest.mark.parametrize("where", ["folder", "on_redis", "on_postgres"])
def test_a_writer_that_died_between_list_and_item_left_nothing_to_be_shown(
    where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FeastItemStore.open(request.getfixturevalue(where))
    store.put([make_item(1)])
    with monkeypatch.context() as dying:
        write = ViewRows.write_rows
        dying.setattr(ViewRows, "write_rows", lambda view, rows: _die_at_items(write, view, rows))
        with pytest.raises(ItemStoreError, match="storing 1 items .* no power"):
            store.put([make_item(2)])
    assert store.of_user("ada", limit=9) == [make_item(1)]
    store.put([make_item(2)])
    assert store.of_user("ada", limit=9) == [make_item(2), make_item(1)]


def _die_at_items(write: Callable[..., None], view: ViewRows, rows: Iterable[Row]) -> None:
    listed = list(rows)
    if "item_id" in listed[0]:
        raise RuntimeError("no power")
    write(view, listed)


def test_an_erasure_that_died_between_list_and_items_is_ended_by_the_next(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, item = FeastItemStore.open(folder), make_item()
    store.put([item])
    with monkeypatch.context() as dying:
        write = ViewRows.write_rows
        dying.setattr(ViewRows, "write_rows", lambda view, rows: _die_at_items(write, view, rows))
        with pytest.raises(ItemStoreError, match="erasing the items of user 'ada'.* no power"):
            store.erase_user("ada", LATER)
    assert store.of_user("ada", limit=9) == []
    assert store.erase_user("ada", LATER) == (erased_item(item),)
    assert store.items([item.item_id]) == {}


def test_an_erased_item_leaves_its_id_and_nothing_else(folder: Path) -> None:
    """SQLite overwrites what it frees when it is told to vacuum."""
    store, item = FeastItemStore.open(folder), make_item(user_id="ada-7f3")
    store.put([item, make_item(2)])
    store.erase_user("ada-7f3", LATER)
    store.settle_erasure("ada-7f3", [item.item_id])
    with closing(sqlite3.connect(folder / ONLINE)) as database:
        database.execute("VACUUM")
    stored = (folder / ONLINE).read_bytes()
    assert stored.count(b"ada-7f3") == NUM_KEYS, "the key of the erasure itself"
    for trace in (item.provenance.content_hash, item.job_key, item.image):
        assert trace.encode() not in stored
    assert item.embedding.tobytes() not in stored
    assert make_item(2).job_key.encode() in stored


def test_nothing_of_an_erased_user_is_left_in_any_file(folder: Path, tmp_path: Path) -> None:
    """But the erasure itself: her id as a key, with the time, so that nothing comes back late."""
    ada = make_history("ada-7f3")
    histories = FeastHistoryStore.create(folder, [ada, make_history("eve-7f3")])
    mine, others = make_item(1, user_id="ada-7f3"), make_item(2, user_id="eve-7f3")
    items, images = FeastItemStore.open(folder), ImageFiles.open(str(tmp_path / "pictures"))
    index = FaissIndex.build(["cat"], np.eye(1, DIM, dtype=np.float32))
    for item in (mine, others):
        images.write(picture_name(item.provenance.content_hash), item.embedding.tobytes())
        images.write(result_name(item.job_key), JsonGeneratedItems().encode(item))
        items.put([item])
        index.add([item.item_id], item.embedding[None])
    erasure = Erasure(items, images, histories, index, {"offline": FeastOfflineFiles.open(folder)})
    report = erasure.erase("ada-7f3", LATER)
    assert report.is_complete
    assert report.erased == {"items": 1, "history": 1, "offline": 1, "images": 2, "index": 1}
    index.save(tmp_path / "index")
    with closing(sqlite3.connect(folder / ONLINE)) as database:
        database.execute("VACUUM")
    traces = [mine.provenance.content_hash, mine.job_key, mine.image, mine.embedding.tobytes()]
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        content, is_online = file.read_bytes(), file == folder / ONLINE
        for trace in traces:
            known = trace if isinstance(trace, bytes) else trace.encode()
            assert known not in content, f"{trace!r} is in {file}"
        assert is_online or b"ada-7f3" not in content, file
        assert is_online or mine.item_id.encode() not in content, file
    left = b"".join(_values(folder))
    assert mine.item_id.encode() not in left
    assert left.count(b"ada-7f3") == left.count(HistoryState.empty("ada-7f3").to_bytes()[:40]) == 1
    assert histories.recent("ada-7f3", limit=9).item_ids == ()
    assert items.of_user("eve-7f3", limit=9) == [others]
    assert histories.recent("eve-7f3", limit=9) == make_history("eve-7f3")
    assert erasure.erase("ada-7f3", LATER).erased == {
        **dict.fromkeys(report.erased, 0),
    }


def _values(folder: Path) -> list[bytes]:
    """Return all values of the online store, without the keys."""
    with closing(sqlite3.connect(folder / ONLINE)) as database:
        views = ("user_history", "generated_items", "user_items")
        rows = [r for v in views for r in database.execute(f"SELECT value FROM pigeon_{v}")]
    return [value for (value,) in rows]


def test_an_offline_file_loses_the_users_rows_and_no_others(folder: Path) -> None:
    rows = [make_history("ada"), History("ada", (), (), (), version=9), make_history("eve")]
    store = FeastHistoryStore.create(folder, rows)
    files = FeastOfflineFiles.open(folder)
    before = (folder / "data/histories.parquet").stat().st_mtime_ns
    assert files.forget("nobody") == 0
    assert (folder / "data/histories.parquet").stat().st_mtime_ns == before
    assert files.forget("ada") == 2
    assert pq.read_table(folder / "data/histories.parquet")["user_id"].to_pylist() == ["eve"]
    found = store.historical([("ada", LATER), ("eve", LATER)])
    assert [each and each.user_id for each in found] == [None, "eve"]


def test_a_repository_without_offline_files_has_nothing_to_forget(folder: Path) -> None:
    (folder / "data/histories.parquet").unlink()
    assert FeastOfflineFiles.open(folder).forget("ada") == 0


def test_an_offline_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "data/histories.parquet").write_bytes(b"no parquet")
    with pytest.raises(HistoryStoreError, match="removing rows of user 'ada' failed in the Feast"):
        FeastOfflineFiles.open(folder).forget("ada")
    with pytest.raises(ArtifactError, match="is no history store"):
        FeastOfflineFiles.open(folder / "data")
