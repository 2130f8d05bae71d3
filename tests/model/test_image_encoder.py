import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.model.image_encoder import (
    FORMAT,
    ImageEncoder,
    ImageEncoderConfig,
    load_image_encoder,
    save_image_encoder,
)

SMALL = ImageEncoderConfig(image_size=16, channels=(8, 16), content_dim=4, taste_dim=6)


def noise(count: int, side: int = 16) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, side, side, 3), generator=generator, dtype=torch.uint8)


@pytest.fixture
def encoder() -> ImageEncoder:
    torch.manual_seed(0)
    return ImageEncoder(SMALL).eval()


@torch.no_grad()
def test_each_half_of_an_embedding_has_length_root_one_half(encoder: ImageEncoder) -> None:
    embedding_BD = encoder(noise(3))
    half = torch.full((3,), 0.5**0.5)
    torch.testing.assert_close(embedding_BD[:, :4].norm(dim=1), half)
    torch.testing.assert_close(embedding_BD[:, 4:].norm(dim=1), half)


@torch.no_grad()
def test_a_dot_product_is_the_mean_of_the_cosines_of_the_halves(encoder: ImageEncoder) -> None:
    one_D, other_D = encoder(noise(2))
    content_BD, taste_BD = encoder.halves(noise(2).float() / 255)
    mean = (content_BD[0] @ content_BD[1] + taste_BD[0] @ taste_BD[1]) / 2
    torch.testing.assert_close(one_D @ other_D, mean)


@torch.no_grad()
def test_a_plain_picture_has_a_finite_embedding(encoder: ImageEncoder) -> None:
    assert encoder(torch.full((1, 16, 16, 3), 255, dtype=torch.uint8)).isfinite().all()


def test_a_plain_picture_has_finite_gradients(encoder: ImageEncoder) -> None:
    content_BD, taste_BD = encoder.halves(torch.ones(1, 16, 16, 3))
    (content_BD.sum() + taste_BD.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_the_default_encoder_is_small() -> None:
    assert sum(p.numel() for p in ImageEncoder().parameters()) < 1_500_000


@torch.no_grad()
def test_saved_weights_come_back_within_half_precision(
    encoder: ImageEncoder, tmp_path: Path
) -> None:
    save_image_encoder(encoder, tmp_path / "embedder.safetensors")
    loaded = load_image_encoder(tmp_path / "embedder.safetensors")
    assert loaded.config == SMALL
    assert not loaded.training
    torch.testing.assert_close(loaded(noise(2)), encoder(noise(2)), atol=5e-3, rtol=0)


def test_equal_weights_make_equal_files(encoder: ImageEncoder, tmp_path: Path) -> None:
    first = save_image_encoder(encoder, tmp_path / "a.safetensors")
    assert save_image_encoder(encoder, tmp_path / "b.safetensors") == first


def test_missing_weights_name_the_command_that_trains_them(tmp_path: Path) -> None:
    path = tmp_path / "none.safetensors"
    with pytest.raises(ArtifactError, match="none.safetensors does not exist.*train embedder"):
        load_image_encoder(path)


def test_a_damaged_file_is_refused(encoder: ImageEncoder, tmp_path: Path) -> None:
    path = tmp_path / "embedder.safetensors"
    save_image_encoder(encoder, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="is no safetensors file.*train embedder"):
        load_image_encoder(path)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ArtifactError, match="other.safetensors holds no 'pigeon-recsys image"):
        load_image_encoder(path)


@pytest.mark.parametrize(
    "config",
    ["not json", "{}", json.dumps({"channels": [8], "width": 3}), json.dumps({"channels": [8]})],
)
def test_weights_that_do_not_fit_their_config_are_refused(
    encoder: ImageEncoder, tmp_path: Path, config: str
) -> None:
    path = tmp_path / "embedder.safetensors"
    save_image_encoder(encoder, path)
    save_file(load_file(path), path, metadata={FORMAT: config})
    with pytest.raises(ArtifactError, match="holds other weights than it says"):
        load_image_encoder(path)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"channels": (12,)}, r"multiples of 8, got \(12,\)"),
        ({"channels": ()}, r"multiples of 8, got \(\)"),
        ({"image_size": 70}, "multiple of its patch 4, got 70"),
        ({"taste_dim": 0}, "at least 1, got 64 and 0"),
    ],
)
def test_an_impossible_shape_is_refused(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        ImageEncoderConfig(**fields)  # type: ignore[arg-type]
