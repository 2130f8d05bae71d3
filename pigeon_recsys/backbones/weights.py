"""Weights on disk: safetensors, half precision, checked when read."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import atomic_path


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors to `path`; floating point ones as float16, to halve the file."""
    stored = {
        name: tensor.detach().cpu().to(torch.float16 if tensor.is_floating_point() else None)
        for name, tensor in state.items()
    }
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in stored.items()}, temporary)


def load_weights(path: Path, module: nn.Module, *, rebuild: str) -> None:
    """Copy the tensors of `path` into the module. Raises `ArtifactError` unless all fit."""
    if not path.is_file():
        raise ArtifactError(path, "is missing", rebuild=rebuild)
    try:
        module.load_state_dict(load_file(path), strict=True)
    except SafetensorError as exc:
        raise ArtifactError(path, f"is corrupt ({exc})", rebuild=rebuild) from exc
    except RuntimeError as exc:
        fault = str(exc).replace("\n", " ").replace("\t", "")
        raise ArtifactError(path, f"does not fit the model ({fault})", rebuild=rebuild) from exc
