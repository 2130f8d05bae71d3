"""A slot wired from artifacts on disk; the model is not loaded when an artifact is at fault."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.model.image_encoder import ImageEncoder, ImageEncoderConfig, save_image_encoder
from pigeon_recsys.retrieval.embedder_export import export_embedder
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.retrieval.index_manifest import IndexSource
from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder
from pigeon_recsys.settings_file import read_slot_file
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.wiring import (
    EMBEDDER_FILE,
    INDEX_FOLDER,
    history_store_type,
    slot_parts,
)

SMALL = ImageEncoderConfig(image_size=16, channels=(8, 16), content_dim=4, taste_dim=4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("embedder")
    save_image_encoder(ImageEncoder(SMALL), folder / "embedder.safetensors")
    export_embedder(folder / "embedder.safetensors", folder / EMBEDDER_FILE)
    return folder / EMBEDDER_FILE


def make_artifacts(folder: Path, exported: Path, embedder_sha256: str) -> Path:
    """Write an embedder and an index that says it was made from other, or the same, weights."""
    (folder / EMBEDDER_FILE).write_bytes(exported.read_bytes())
    vectors_ND = np.eye(8, dtype=np.float32)
    item_ids = [f"item-{row}" for row in range(8)]
    source = IndexSource(embedder_sha256)
    FaissIndex.build(item_ids, vectors_ND, source=source).save(folder / INDEX_FOLDER)
    return folder


def wire(artifacts: Path) -> SlotParts:
    """Read a settings file whose catalog and histories are never reached."""
    path = artifacts / "slot.yaml"
    path.write_text("{catalog: data, artifacts: ., histories: {path: feature_repo}}")
    return slot_parts(read_slot_file(path))


def test_an_index_of_another_embedder_is_refused(tmp_path: Path, exported: Path) -> None:
    artifacts = make_artifacts(tmp_path, exported, embedder_sha256="f" * 64)
    with pytest.raises(ArtifactError, match=r"embedder weights f{12}.*pigeon-recsys index"):
        wire(artifacts)


def test_a_missing_ranker_is_named_with_the_command_that_makes_it(
    tmp_path: Path, exported: Path
) -> None:
    weights_sha256 = OnnxEmbedder.load(exported).weights_sha256
    artifacts = make_artifacts(tmp_path, exported, weights_sha256)
    with pytest.raises(ArtifactError, match=r"ranker\.onnx.*pigeon-recsys rank export"):
        wire(artifacts)


def test_an_unknown_history_store_lists_those_installed() -> None:
    with pytest.raises(SettingsError, match=r"no history store 'redis'. Installed: .*feast"):
        history_store_type("redis")
