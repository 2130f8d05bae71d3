"""The scorer that selects must not be the scorer that evaluates.

In:  the weights of networks, as tensors or files.
Out: hashes of their tensors; an error when an evaluating network shares one with a selecting
     network.

Tensors are compared by value, in half precision: another file, other names or another
precision make no other network, and a network that borrows a trunk is caught too.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pigeon_recsys.errors import ArtifactError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor

MIN_VALUES = 64  # of a tensor; smaller ones may agree by accident
HEX_DIGITS = 16


def tensor_hashes(state: Mapping[str, "Tensor"]) -> frozenset[str]:
    """Return a hash of every learned tensor: at least 64 values, not all the same."""
    import torch

    hashes = set()
    for tensor in state.values():
        if not tensor.is_floating_point() or tensor.numel() < MIN_VALUES:
            continue
        values = tensor.detach().cpu().to(torch.float16).contiguous()
        if bool((values == values.flatten()[0]).all()):
            continue
        digest = hashlib.sha256(repr(tuple(values.shape)).encode() + values.numpy().tobytes())
        hashes.add(digest.hexdigest()[:HEX_DIGITS])
    return frozenset(hashes)


def file_tensor_hashes(path: Path) -> frozenset[str]:
    """Return the tensor hashes of a safetensors file. Raises `ArtifactError`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    rebuild = "the command that trained it, or name the weights that select"
    try:
        return tensor_hashes(load_file(path))
    except FileNotFoundError as exc:
        raise ArtifactError(path, "does not exist", rebuild=rebuild) from exc
    except (SafetensorError, OSError) as exc:
        raise ArtifactError(path, f"is no safetensors file ({exc})", rebuild=rebuild) from exc


def identity(hashes: Iterable[str]) -> str:
    """Return one name for a network's learned tensors, to be recorded beside its numbers."""
    return hashlib.sha256(" ".join(sorted(hashes)).encode()).hexdigest()[:HEX_DIGITS]


def check_apart(
    evaluators: Mapping[str, frozenset[str]], selectors: Mapping[str, frozenset[str]]
) -> None:
    """Raise `SettingsError` if an evaluating network shares weights with a selecting one."""
    for evaluator, evaluating in evaluators.items():
        for selector, selecting in selectors.items():
            shared = evaluating & selecting
            if shared:
                raise SettingsError(
                    f"{evaluator} evaluates and {selector} selects pictures, but they share "
                    f"{len(shared)} of {len(evaluating)} weight tensors. What selects may not "
                    "evaluate: train another with: pigeon-recsys train evaluator --data DIR "
                    "--out DIR --seed 1"
                )
