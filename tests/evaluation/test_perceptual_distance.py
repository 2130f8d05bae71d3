"""LPIPS on AlexNet's published layout, with random weights and on stages made by hand."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.perceptual_distance import ALEXNET, PerceptualDistance, load_lpips


def grey(value):
    return np.full((8, 8, 3), value, np.uint8)


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    generator = torch.Generator().manual_seed(0)
    state = {}
    for place, narrow, wide, kernel, _, _ in ALEXNET:
        shape = (wide, narrow, kernel, kernel)
        state[f"features.{place}.weight"] = torch.randn(shape, generator=generator) * 0.02
        state[f"features.{place}.bias"] = torch.zeros(wide)
    state["classifier.6.weight"] = torch.zeros(2, 2)
    path = tmp_path_factory.mktemp("weights") / "alexnet.pth"
    torch.save(state, path)
    save_file(state, path.with_suffix(".safetensors"))
    return path


def test_the_distance_is_worked_out_over_unit_channels():
    """One stage with channels (x, 1): (0, 1) has direction (0, 1), (1, 1) has (1, 1) / √2.

    Squares: 1/2 and (1 - 1/√2)² = 0.0858. Their sum is 0.5858; with weights 2 and 0 it is 1.
    """

    def stage(pixels_BCHW):
        first = pixels_BCHW[:, :1]
        return [torch.cat((first, torch.ones_like(first)), dim=1)]

    plain = PerceptualDistance("by hand", stage, frozenset())
    weights = (torch.tensor([2.0, 0.0])[None, :, None, None],)
    weighted = PerceptualDistance("by hand", stage, frozenset(), weights)
    assert plain.distances([grey(0)], [grey(255)]) == pytest.approx([0.5858], abs=1e-4)
    assert weighted.distances([grey(0)], [grey(255)]) == pytest.approx([1.0], abs=1e-4)


def test_lpips_is_zero_for_equal_pictures_and_grows_with_noise(alexnet):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (72, 72, 3), dtype=np.uint8)
    little = np.clip(picture.astype(int) + rng.integers(-9, 10, picture.shape), 0, 255)
    other = rng.integers(0, 256, (72, 72, 3), dtype=np.uint8)
    others = [picture, little.astype(np.uint8), other]
    found = load_lpips(alexnet).distances([picture] * 3, others)
    assert found[0] == 0
    assert 0 < found[1] < found[2]


def test_small_pictures_are_enlarged_to_reach_the_last_stage(alexnet):
    found = load_lpips(alexnet).distances([grey(0)], [grey(200)])
    assert np.isfinite(found).all()


def test_both_file_formats_hold_the_same_network(alexnet):
    one, two = load_lpips(alexnet), load_lpips(alexnet.with_suffix(".safetensors"))
    assert one.tensor_hashes == two.tensor_hashes
    assert len(one.tensor_hashes) == len(ALEXNET)


def test_a_file_that_is_not_alexnet_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist.*torchvision's alexnet"):
        load_lpips(tmp_path / "missing.pth")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ArtifactError, match="holds no AlexNet: features.0.weight"):
        load_lpips(tmp_path / "other.safetensors")
    (tmp_path / "pickled.pth").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(ArtifactError, match="is no file of weights"):
        load_lpips(tmp_path / "pickled.pth")
