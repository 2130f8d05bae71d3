import json
import sys
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import pytest

from pigeon_recsys.errors import (
    ArtifactError,
    MissingExtra,
    OutputError,
    SettingsError,
    UnknownItem,
)
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import Vectors
from pigeon_recsys.retrieval.faiss_index import FaissIndex, IndexSettings
from pigeon_recsys.retrieval.index_manifest import IndexSource
from pigeon_recsys.testing.fakes import FakeIndex
from pigeon_recsys.testing.index_contract import ItemIndexContract, unit_vectors

SOURCE = IndexSource(embedder_sha256="e" * 64, dataset_fingerprint="d" * 64)


class TestFakeIndex(ItemIndexContract):
    def make_index(self, item_ids: Sequence[str], vectors_ND: Vectors) -> ItemIndex:
        return FakeIndex(item_ids, vectors_ND)


class TestFlatIndex(ItemIndexContract):
    def make_index(self, item_ids: Sequence[str], vectors_ND: Vectors) -> ItemIndex:
        return FaissIndex.build(item_ids, vectors_ND, IndexSettings(kind="flat"))


class TestInvertedLists(ItemIndexContract):
    def make_index(self, item_ids: Sequence[str], vectors_ND: Vectors) -> ItemIndex:
        return FaissIndex.build(item_ids, vectors_ND, IndexSettings(kind="ivf"))


@pytest.fixture(params=["flat", "ivf"])
def index(request: pytest.FixtureRequest) -> FaissIndex:
    """Items a, b and c at 0, 45 and 90 degrees."""
    settings = IndexSettings(kind=request.param)
    return FaissIndex.build(["a", "b", "c"], unit_vectors([0, 45, 90]), settings, SOURCE)


@pytest.fixture
def saved(index: FaissIndex, tmp_path: Path) -> Path:
    index.save(tmp_path / "index")
    return tmp_path / "index"


def found_ids(index: FaissIndex, degrees: float, k: int = 9) -> list[str]:
    return [item.item_id for item in index.search(unit_vectors([degrees])[0], k)]


def test_items_can_be_added_later(index: FaissIndex) -> None:
    index.add(["d"], unit_vectors([10]))
    assert found_ids(index, 0) == ["a", "d", "b", "c"]
    assert len(index) == 4


def test_adding_a_known_item_replaces_its_vector(index: FaissIndex) -> None:
    """Item c moves from 90 to 10 degrees, nearer to 0 than b at 45."""
    index.add(["c", "d"], unit_vectors([10, 80]))
    assert found_ids(index, 0) == ["a", "c", "b", "d"]
    assert index.item_ids == ("a", "b", "c", "d")
    np.testing.assert_allclose(index.vectors(["c"]), unit_vectors([10]), atol=1e-6)


def test_a_replaced_index_is_the_same_after_saving_and_loading(
    index: FaissIndex, tmp_path: Path
) -> None:
    index.add(["a", "d"], unit_vectors([170, 20]))
    index.save(tmp_path / "index")
    loaded = FaissIndex.load(tmp_path / "index")
    query = unit_vectors([15])[0]
    assert loaded.search(query, 9) == index.search(query, 9)
    loaded.add(["d"], unit_vectors([90]))
    assert found_ids(loaded, 15)[0] == "b"


def test_large_catalogs_get_inverted_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pigeon_recsys.retrieval.faiss_index.IVF_FROM", 3)
    assert FaissIndex.build(["a", "b"], unit_vectors([0, 1])).kind == "flat"
    assert FaissIndex.build(["a", "b", "c"], unit_vectors([0, 1, 2])).kind == "ivf"


def test_a_restricted_search_is_exact_however_few_lists_are_probed() -> None:
    """The item asked for lies in another list than the query."""
    item_ids = [f"item-{number}" for number in range(400)]
    settings = IndexSettings(kind="ivf", probes=1)
    index = FaissIndex.build(item_ids, unit_vectors(np.linspace(0, 359, 400).tolist()), settings)
    query = unit_vectors([0])[0]
    assert [item.item_id for item in index.search(query, 5, within=["item-200"])] == ["item-200"]
    assert len(index.search(query, 400)) < 400


def test_a_restricted_search_scores_as_an_unrestricted_one(index: FaissIndex) -> None:
    query = unit_vectors([20])[0]
    assert index.search(query, 9, within=["c", "b", "a"]) == index.search(query, 9)
    assert index.search(query, 1, within=["b", "c"]) == index.search(query, 9)[1:2]


def test_a_restricted_search_finds_what_was_added_and_replaced(index: FaissIndex) -> None:
    """Item c moves from 90 to 10 degrees and d comes at 5; b is not asked for."""
    index.add(["c", "d"], unit_vectors([10, 5]))
    found = index.search(unit_vectors([0])[0], 9, within=["c", "d"])
    assert [item.item_id for item in found] == ["d", "c"]
    np.testing.assert_allclose([item.score for item in found], np.cos(np.deg2rad([5, 10])), 1e-6)


@pytest.mark.parametrize(("num_items", "num_lists"), [(30, 1), (400, 10), (40_000, 800)])
def test_lists_grow_with_the_root_of_the_items_and_none_learns_from_too_few(
    num_items: int, num_lists: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four lists per root, 4 × 200 = 800; 400 items are ten times the 40 that a list asks for."""
    monkeypatch.setattr("pigeon_recsys.retrieval.faiss_index.TRAINING_ROUNDS", 1)
    item_ids = [str(number) for number in range(num_items)]
    vectors = unit_vectors(np.linspace(0, 359, num_items).tolist())
    index = FaissIndex.build(item_ids, vectors, IndexSettings(kind="ivf"))
    assert index._index.nlist == num_lists


def test_an_empty_flat_index_finds_nothing() -> None:
    index = FaissIndex.build([], np.empty((0, 2), np.float32))
    assert index.search(unit_vectors([0])[0], 3) == []


def test_an_index_knows_its_items(index: FaissIndex) -> None:
    assert "a" in index
    assert "z" not in index
    with pytest.raises(UnknownItem, match="the index holds no item 'z' among its 3 items"):
        index.vectors(["z"])


@pytest.mark.parametrize("k", [0, -1])
def test_a_k_below_one_is_refused(index: FaissIndex, k: int) -> None:
    with pytest.raises(SettingsError, match=f"k must be at least 1, got {k}"):
        index.search(unit_vectors([0])[0], k)


def test_a_query_of_another_width_is_refused(index: FaissIndex) -> None:
    with pytest.raises(SettingsError, match=r"must be \(2,\), got \(3,\)"):
        index.search(np.ones(3, np.float32), 1)


def test_a_query_with_nan_is_refused(index: FaissIndex) -> None:
    with pytest.raises(SettingsError, match="must be finite, got NaN"):
        index.search(np.array([np.nan, 1], np.float32), 1)


@pytest.mark.parametrize(
    ("item_ids", "rows", "fault"),
    [
        (["x"], [[np.nan, 0.0]], "vector of item 'x' must have length 1, got nan"),
        (["x"], [[3.0, 4.0]], "vector of item 'x' must have length 1, got 5. Normalise"),
        (["x"], [[0.0, 0.0]], "vector of item 'x' must have length 1, got 0"),
        (["x"], [[1.0, 0.0, 0.0]], "holds vectors of width 2, got 3"),
        (["x", "y"], [[1.0, 0.0]], r"must be \(2, D\), one row an item, got \(1, 2\)"),
        (["x", "x"], [[1.0, 0.0], [1.0, 0.0]], "item 'x' is given twice"),
    ],
)
def test_vectors_that_cannot_be_indexed_change_nothing(
    index: FaissIndex, item_ids: list[str], rows: list[list[float]], fault: str
) -> None:
    with pytest.raises(SettingsError, match=fault):
        index.add(item_ids, np.array(rows, np.float32))
    assert found_ids(index, 0) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"kind": "hnsw"}, "kind must be auto, flat or ivf, got 'hnsw'"),
        ({"probes": 0}, "probes must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        IndexSettings(**fields)  # type: ignore[arg-type]


def test_inverted_lists_without_items_are_refused() -> None:
    with pytest.raises(SettingsError, match="learns from its items and got none"):
        FaissIndex.build([], np.empty((0, 2), np.float32), IndexSettings(kind="ivf"))


def test_without_faiss_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r'pip install "pigeon-recsys\[faiss\]"'):
        FaissIndex.build(["a"], unit_vectors([0]))


def test_a_manifest_says_what_the_index_was_made_from(saved: Path) -> None:
    manifest = json.loads((saved / "manifest.json").read_text())
    assert (manifest["dim"], manifest["count"], manifest["metric"]) == (2, 3, "inner product")
    assert manifest["embedder_sha256"] == SOURCE.embedder_sha256
    assert manifest["dataset_fingerprint"] == SOURCE.dataset_fingerprint
    assert manifest["faiss_version"]
    assert FaissIndex.load(saved, expected=SOURCE).source == SOURCE


def test_saving_again_replaces_the_index_and_leaves_nothing_else(
    index: FaissIndex, saved: Path
) -> None:
    index.add(["d"], unit_vectors([180]))
    index.save(saved)
    assert len(FaissIndex.load(saved)) == 4
    assert [path.name for path in saved.parent.iterdir()] == ["index"]


def test_a_folder_that_holds_other_files_is_never_replaced(index: FaissIndex, saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else is there. Choose another folder"):
        index.save(saved)
    assert (saved / "notes.txt").read_text() == "mine"


def test_a_save_that_fails_leaves_the_old_index(
    index: FaissIndex, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("faiss.write_index", full_disk)
    with pytest.raises(OSError, match="no space left"):
        index.save(saved)
    assert len(FaissIndex.load(saved)) == 3
    assert [path.name for path in saved.parent.iterdir()] == ["index"]


@pytest.mark.parametrize("name", ["manifest.json", "index.faiss", "item_ids.json"])
def test_a_missing_file_names_itself_and_the_command_to_rebuild(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} does not exist.*index build .*--out {saved}"):
        FaissIndex.load(saved)


@pytest.mark.parametrize("name", ["index.faiss", "item_ids.json"])
def test_a_changed_file_is_refused(saved: Path, name: str) -> None:
    (saved / name).write_bytes((saved / name).read_bytes() + b" ")
    with pytest.raises(ArtifactError, match=f"{name} has sha256 .* its manifest says"):
        FaissIndex.load(saved)


def rewrite_manifest(saved: Path, **changes: object) -> None:
    path = saved / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"dim": 3}, "holds 3 vectors of width 2, its manifest says 3 of width 3"),
        ({"count": 4}, "does not list 4 distinct item ids"),
        ({"metric": "L2"}, r"manifest.json is no index manifest of this version \(metric"),
        ({"format": "other"}, r"manifest.json is no index manifest of this version \(format"),
        ({"extra": 1}, r"manifest.json is no index manifest of this version \(extra"),
        ({"kind": "hnsw"}, r"manifest.json is no index manifest of this version \(kind"),
        ({"sha256": {}}, "its manifest says nothing"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    saved: Path, changes: dict[str, object], fault: str
) -> None:
    rewrite_manifest(saved, **changes)
    with pytest.raises(ArtifactError, match=f"{fault}.*index build"):
        FaissIndex.load(saved)


def test_a_manifest_that_is_no_json_is_refused(saved: Path) -> None:
    (saved / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="is no index manifest of this version"):
        FaissIndex.load(saved)


def test_a_file_that_faiss_cannot_read_names_both_versions(saved: Path) -> None:
    """The file is what the manifest says, so only FAISS can tell that it is none of its own."""
    import hashlib

    content = b"not an index"
    (saved / "index.faiss").write_bytes(content)
    hashes = json.loads((saved / "manifest.json").read_text())["sha256"]
    hashes["index.faiss"] = hashlib.sha256(content).hexdigest()
    rewrite_manifest(saved, sha256=hashes, faiss_version="99.0")
    with pytest.raises(ArtifactError, match="written by faiss 99.0 and cannot be read by"):
        FaissIndex.load(saved)


@pytest.mark.parametrize(
    ("expected", "fault"),
    [
        (IndexSource(embedder_sha256="f" * 64), "embedder weights eeeeeeeeeeee, not from ffff"),
        (IndexSource(dataset_fingerprint="f" * 64), "indexes dataset dddddddddddd, not ffff"),
    ],
)
def test_an_index_of_another_source_is_refused(
    saved: Path, expected: IndexSource, fault: str
) -> None:
    with pytest.raises(ArtifactError, match=fault):
        FaissIndex.load(saved, expected=expected)


def test_a_search_leaves_the_threads_of_whoever_calls_as_they_were() -> None:
    """One query runs on one thread; building an index afterwards has all of them again."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    try:
        index = FaissIndex.build(["a", "b"], np.eye(2, dtype=np.float32))
        index.search(np.array([1, 0], np.float32), 2)
        index.search(np.array([1, 0], np.float32), 2, within=["b"])
        index.vectors(["a"])
        assert faiss.omp_get_max_threads() == 2
    finally:
        faiss.omp_set_num_threads(before)
