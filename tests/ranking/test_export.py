"""The exported ranker gives the trained one's scores."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from pigeon_recsys.errors import ArtifactError, MissingExtra, OutputError
from pigeon_recsys.ranking.export import (
    DATASET_KEY,
    FEATURES_KEY,
    WEIGHTS_KEY,
    export_ranker,
    items_path,
)
from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
from pigeon_recsys.ranking.quality import RankerReport
from pigeon_recsys.ranking.run_folder import load_run
from pigeon_recsys.testing.fakes import FakeIndex
from tests.ranking.planted_world import empty_batch, random_batch

Trained = tuple[Path, RankerReport]
TOLERANCE = 1e-6  # the contract allows 1e-4
LONGEST = 200  # ids in one bag


def test_a_thousand_ragged_rows_score_as_in_torchrec(
    trained: Trained, exported: Path, index: FakeIndex
) -> None:
    model, features, _ = load_run(trained[0])
    batch = random_batch(features, 1000, seed=1)
    assert all((bags.lengths == 0).any() for bags in batch.bags.values())
    expected = model.probabilities(batch)
    found = OnnxRanker.load(exported, index).probabilities(batch)
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("num_rows", [1, 2, 17])
def test_any_number_of_rows_can_be_scored(
    trained: Trained, exported: Path, index: FakeIndex, num_rows: int
) -> None:
    model, features, _ = load_run(trained[0])
    batch = random_batch(features, num_rows, seed=num_rows)
    found = OnnxRanker.load(exported, index).probabilities(batch)
    np.testing.assert_allclose(found, model.probabilities(batch), rtol=0, atol=TOLERANCE)


def test_rows_of_several_requests_score_as_in_torchrec(
    trained: Trained, exported: Path, index: FakeIndex
) -> None:
    """Seven users, each given once; TorchRec gets every user's bags row by row."""
    model, features, _ = load_run(trained[0])
    batch = random_batch(features, 200, seed=3, num_requests=7)
    found = OnnxRanker.load(exported, index).probabilities(batch)
    np.testing.assert_allclose(found, model.probabilities(batch), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("num_rows", [1, 3])
def test_rows_without_any_id_can_be_scored(
    trained: Trained, exported: Path, index: FakeIndex, num_rows: int
) -> None:
    model, features, _ = load_run(trained[0])
    batch = empty_batch(features, num_rows)
    found = OnnxRanker.load(exported, index).probabilities(batch)
    np.testing.assert_allclose(found, model.probabilities(batch), rtol=0, atol=TOLERANCE)


CASES = {
    "empty bags": ([0], 0),
    "one id a bag": ([1], 0),
    "the longest bags": ([LONGEST], 0),
    "nothing beside the longest": ([0, LONGEST], 0),
    "ids never seen": ([1, 2], -1),
}


@pytest.mark.parametrize("case", CASES)
def test_bags_of_every_kind_score_as_in_torchrec(
    trained: Trained, exported: Path, index: FakeIndex, case: str
) -> None:
    """An id never seen has one of the last rows of its table, which others share."""
    lengths, row = CASES[case]
    model, features, _ = load_run(trained[0])
    batch = random_batch(features, 30, seed=4, num_requests=3, lengths=lengths, row=row)
    found = OnnxRanker.load(exported, index).probabilities(batch)
    np.testing.assert_allclose(found, model.probabilities(batch), rtol=0, atol=TOLERANCE)


def test_the_files_are_valid_onnx_and_tell_where_they_come_from(
    trained: Trained, exported: Path
) -> None:
    manifest = json.loads((trained[0] / "ranker.json").read_text())
    for path in (exported, items_path(exported)):
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        assert metadata[WEIGHTS_KEY] == manifest["weights_sha256"]
        assert metadata[DATASET_KEY] == manifest["dataset_fingerprint"]
        assert [opset.version for opset in proto.opset_import if not opset.domain] == [18]
    metadata = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert json.loads(metadata[FEATURES_KEY]) == manifest["features"]


@pytest.mark.parametrize(
    ("of_items", "names", "keys"),
    [
        (True, ["image", "text"], ["item", "attribute.shape", "attribute.tags"]),
        (False, ["state", "taste", "context"], ["user", "history"]),
    ],
)
def test_the_inputs_are_vectors_and_packed_ids(
    exported: Path, of_items: bool, names: list[str], keys: list[str]
) -> None:
    proto = onnx.load(items_path(exported) if of_items else exported)
    assert {node.name for node in proto.graph.input} == {*names, "ids.values", "ids.offsets"}
    told = {entry.key: entry.value for entry in proto.metadata_props}["torchrec.keys"]
    assert json.loads(told) == {"ids": keys}


def test_a_run_that_is_missing_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"ranker\.json does not exist"):
        export_ranker(tmp_path / "nowhere", tmp_path / "out" / "ranker.onnx")
    assert not list((tmp_path / "out").iterdir())


def test_a_target_that_is_a_folder_stops_before_any_work(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        export_ranker(trained[0], tmp_path)


@pytest.mark.parametrize("library", ["onnx", "onnxscript"])
def test_without_an_export_library_it_and_the_extra_are_named(
    monkeypatch: pytest.MonkeyPatch, trained: Trained, tmp_path: Path, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf'needs {library}\. Run: .*"pigeon-recsys\[onnx\]"'):
        export_ranker(trained[0], tmp_path / "ranker.onnx")
