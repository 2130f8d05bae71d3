"""What selects may not evaluate: by value of the weights, whatever the file says."""

import pytest
import torch
from safetensors.torch import save_file

from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.evaluation.network_identity import (
    check_apart,
    file_tensor_hashes,
    identity,
    tensor_hashes,
)

TRUNK = torch.arange(100.0).reshape(10, 10)
HEAD = torch.linspace(-1, 1, 64)


def test_names_and_precision_make_no_other_network():
    half = {"renamed": TRUNK.half(), "other": HEAD.half()}
    assert tensor_hashes({"trunk": TRUNK, "head": HEAD}) == tensor_hashes(half)


def test_constant_and_small_tensors_identify_nobody():
    assert tensor_hashes({"ones": torch.ones(200), "scale": torch.tensor([1.0, 2.0])}) == set()


def test_a_borrowed_trunk_is_caught():
    mine, theirs = tensor_hashes({"a": TRUNK, "b": HEAD}), tensor_hashes({"a": TRUNK, "c": -HEAD})
    with pytest.raises(
        SettingsError,
        match=r"judge evaluates and chooser selects pictures, but they share 1 of 2 weight tensors."
        r".*pigeon-recsys train evaluator",
    ):
        check_apart({"judge": mine}, {"chooser": theirs})


def test_networks_without_a_common_tensor_pass():
    check_apart({"judge": tensor_hashes({"a": TRUNK})}, {"chooser": tensor_hashes({"a": HEAD})})


def test_a_file_has_the_hashes_of_its_tensors(tmp_path):
    save_file({"t": TRUNK}, tmp_path / "w.safetensors")
    assert file_tensor_hashes(tmp_path / "w.safetensors") == tensor_hashes({"x": TRUNK})
    assert len(identity(tensor_hashes({"x": TRUNK}))) == 16


def test_a_missing_or_foreign_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="w.safetensors does not exist"):
        file_tensor_hashes(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="w.safetensors is no safetensors file"):
        file_tensor_hashes(tmp_path / "w.safetensors")
