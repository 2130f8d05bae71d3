import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.model.image_encoder import (
    ImageEncoder,
    ImageEncoderConfig,
    save_image_encoder,
)
from pigeon_recsys.retrieval.catalog_index import index_catalog
from pigeon_recsys.retrieval.embedder_export import export_embedder
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.retrieval.index_manifest import IndexSource
from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder
from tests.alignment.embedder_dataset import colour_fans, write_dataset


@pytest.fixture(autouse=True)
def _only_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pigeon_recsys.cli.COMMANDS", ("index",))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "data"
    return write_dataset(folder, colour_fans(("u1", "u2"))).path


@pytest.fixture(scope="module")
def embedder(data: Path) -> Path:
    weights, out = data.parent / "embedder.safetensors", data.parent / "embedder.onnx"
    torch.manual_seed(0)
    save_image_encoder(ImageEncoder(ImageEncoderConfig(image_size=16, channels=(8,))), weights)
    export_embedder(weights, out)
    return out


def build(data: Path, embedder: Path, out: Path, *more: str) -> int:
    paths = ["--data", str(data), "--embedder", str(embedder), "--out", str(out)]
    return main(["index", "build", *paths, *more])


def test_build_indexes_every_item_with_its_pictures_vector(
    data: Path, embedder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(data, embedder, tmp_path / "index", "--json", str(tmp_path / "r.json")) == 0
    assert "24 items, 128 numbers each, flat" in capsys.readouterr().out
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["count"], result["dim"]) == (24, 128)
    dataset, runtime = DatasetFolder.open(data), OnnxEmbedder.load(embedder, num_threads=1)
    index = FaissIndex.load(
        tmp_path / "index", expected=IndexSource(runtime.weights_sha256, dataset.fingerprint)
    )
    assert index.item_ids == dataset.item_ids
    vector = runtime.embed([dataset.pixels("red-square-0")])
    np.testing.assert_allclose(index.vectors(["red-square-0"]), vector, atol=1e-5)


def test_an_index_can_be_built_again_over_itself(
    data: Path, embedder: Path, tmp_path: Path
) -> None:
    assert build(data, embedder, tmp_path / "index") == 0
    assert build(data, embedder, tmp_path / "index", "--kind", "ivf") == 0
    assert FaissIndex.load(tmp_path / "index").kind == "ivf"


def test_a_missing_embedder_is_one_clear_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(data, tmp_path / "none.onnx", tmp_path / "index") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "none.onnx does not exist. Rebuild it with: pigeon-recsys index embedder" in error


def test_a_folder_with_other_files_is_left_alone(
    data: Path, embedder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert build(data, embedder, tmp_path) == 1
    assert "something else is there" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_embedder_writes_a_file_that_can_be_run(
    embedder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = embedder.with_suffix(".safetensors"), tmp_path / "again.onnx"
    assert main(["index", "embedder", "--weights", str(weights), "--out", str(out)]) == 0
    runtime = OnnxEmbedder.load(out, num_threads=1)
    assert f"embedder of weights {runtime.weights_sha256[:12]}" in capsys.readouterr().out


def test_missing_weights_name_the_command_that_trains_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, out = str(tmp_path / "none.safetensors"), str(tmp_path / "e.onnx")
    assert main(["index", "embedder", "--weights", weights, "--out", out]) == 1
    assert "none.safetensors does not exist" in capsys.readouterr().err


def test_catalogs_larger_than_a_chunk_are_indexed_whole(
    data: Path, embedder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, runtime = DatasetFolder.open(data), OnnxEmbedder.load(embedder, num_threads=1)
    whole = index_catalog(dataset, runtime)
    monkeypatch.setattr("pigeon_recsys.retrieval.catalog_index.CHUNK", 5)
    chunked = index_catalog(dataset, runtime)
    np.testing.assert_allclose(
        chunked.vectors(dataset.item_ids), whole.vectors(dataset.item_ids), atol=1e-5
    )
