import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from pigeon_recsys.errors import ArtifactError, MissingExtra, SettingsError
from pigeon_recsys.model.image_encoder import (
    ImageEncoder,
    ImageEncoderConfig,
    load_image_encoder,
    save_image_encoder,
)
from pigeon_recsys.ports import ImageEmbedder
from pigeon_recsys.retrieval.embedder_export import export_embedder
from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder, prepare
from pigeon_recsys.testing.embedder_contract import ImageEmbedderContract, picture
from pigeon_recsys.testing.fakes import FakeEmbedder

SMALL = ImageEncoderConfig(image_size=16, channels=(8, 16), content_dim=4, taste_dim=6)
PARITY = 1e-4


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("embedder") / "embedder.safetensors"
    save_image_encoder(ImageEncoder(SMALL), path)
    return path


@pytest.fixture(scope="module")
def exported(weights: Path) -> Path:
    path = weights.with_suffix(".onnx")
    export_embedder(weights, path)
    return path


class TestFakeEmbedder(ImageEmbedderContract):
    def make_embedder(self) -> ImageEmbedder:
        return FakeEmbedder()


class TestOnnxEmbedder(ImageEmbedderContract):
    @pytest.fixture(autouse=True)
    def _exported(self, exported: Path) -> None:
        self.path = exported

    def make_embedder(self) -> ImageEmbedder:
        return OnnxEmbedder.load(self.path, num_threads=1)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 7])
def test_onnx_runtime_and_torch_agree(weights: Path, exported: Path, count: int) -> None:
    pictures = [picture(seed) for seed in range(count)]
    expected = load_image_encoder(weights)(torch.from_numpy(prepare(pictures, 16))).numpy()
    found = OnnxEmbedder.load(exported, num_threads=1).embed(pictures)
    assert np.abs(found - expected).max() <= PARITY


def test_the_file_says_what_it_is(weights: Path, exported: Path) -> None:
    embedder = OnnxEmbedder.load(exported, num_threads=1)
    assert (embedder.dim, embedder.content_dim, embedder.image_size) == (10, 4, 16)
    assert embedder.weights_sha256 == save_image_encoder(load_image_encoder(weights), weights)


def test_a_picture_that_is_not_square_is_squashed() -> None:
    """Left half black, right half white: so are both halves of the squashed picture."""
    wide = np.zeros((4, 64, 3), np.uint8)
    wide[:, 32:] = 255
    squashed = prepare([wide], 8)[0]
    assert squashed.shape == (8, 8, 3)
    assert (squashed[:, :3] < 10).all()  # LANCZOS rings a little
    assert (squashed[:, 5:] > 245).all()


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (
            np.zeros((4, 4, 3), np.float32),
            r"picture 1 must be uint8 RGB .* got float32 \(4, 4, 3\)",
        ),
        (np.zeros((4, 4, 4), np.uint8), r"got uint8 \(4, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"got uint8 \(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got uint8 \(0, 4, 3\)"),
    ],
)
def test_what_is_no_rgb_picture_is_refused(bad: np.ndarray, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        prepare([picture(0), bad], 8)


def test_a_missing_file_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="none.onnx does not exist.*index embedder"):
        OnnxEmbedder.load(tmp_path / "none.onnx")


def test_a_damaged_file_is_refused(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.read_bytes()[:2000])
    with pytest.raises(ArtifactError, match="cut.onnx is no ONNX file that can be run"):
        OnnxEmbedder.load(path)


def test_another_kind_of_onnx_file_is_refused(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ArtifactError, match="its metadata lacks image_size, dim"):
        OnnxEmbedder.load(tmp_path / "other.onnx")


def test_without_onnx_runtime_the_error_names_the_extra(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r'needs onnxruntime.*"pigeon-recsys\[onnx\]"'):
        OnnxEmbedder.load(exported)


def test_without_onnx_the_export_names_the_extra(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r'needs onnx\..*"pigeon-recsys\[onnx\]"'):
        export_embedder(weights, tmp_path / "embedder.onnx")


def test_the_export_is_quiet(
    weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export_embedder(weights, tmp_path / "embedder.onnx")
    assert capfd.readouterr() == ("", "")
