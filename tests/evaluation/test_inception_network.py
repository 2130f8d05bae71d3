"""FID's Inception: the published layout, and what comes out."""

import pytest
import torch
from safetensors.torch import save_file

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.inception_network import NUM_FEATURES, InceptionFeatures


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return InceptionFeatures().eval()


def test_it_has_as_many_weights_as_the_published_one(network):
    """torchvision's Inception v3 has 27,161,264; without its auxiliary classifier of 3,326,696
    and its last layer of 2048 × 1000 + 1000, 21,785,568 are left.
    """
    assert sum(weight.numel() for weight in network.parameters()) == 21_785_568


def test_names_and_shapes_are_those_of_the_published_file(network):
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert shapes["Mixed_6c.branch7x7dbl_5.conv.weight"] == (192, 160, 1, 7)
    assert shapes["Mixed_7a.branch7x7x3_3.conv.weight"] == (192, 192, 7, 1)
    assert shapes["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,)


def test_weights_are_read_and_pictures_of_any_size_have_2048_features(network, tmp_path):
    path = tmp_path / "inception.safetensors"
    save_file(network.state_dict() | {"fc.weight": torch.zeros(1008, 2048)}, path)
    images = torch.randint(0, 256, (1, 3, 20, 30), dtype=torch.uint8)
    with torch.inference_mode():
        found = InceptionFeatures.load(path)(images)
        assert found.shape == (1, NUM_FEATURES)
        assert torch.equal(found, network(images))


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ArtifactError, match="holds no Inception of pytorch-fid: .*pytorch-fid pub"):
        InceptionFeatures.load(tmp_path / "other.safetensors")
