"""Baselines that are trained once on a dataset, on disk.

Folder: `NAME.json` (backbone it belongs to, provenance of the training), `NAME.safetensors`.
Several baselines can share a folder. The backbone stays where it is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pigeon_recsys.alignment.baselines import IP_ADAPTER, TRAINED
from pigeon_recsys.alignment.baselines.image_prompt import ImagePrompt
from pigeon_recsys.alignment.baselines.keywords import Keywords
from pigeon_recsys.alignment.baselines.pmg import SoftPreference
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.backbones.weights import load_weights, save_weights
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.model.checkpoint import BACKBONE_FOLDER, weights_version


@dataclass(frozen=True)
class FrozenBackbone:
    """A run's backbone without Pigeon's modules, which no baseline may change."""

    backbone: MiniBackbone
    version: str  # of its weights

    @classmethod
    def load(cls, run: Path) -> "FrozenBackbone":
        """Read the backbone of a run folder. Raises `ArtifactError`."""
        folder = run / BACKBONE_FOLDER
        backbone = MiniBackbone.load(folder)
        backbone.requires_grad_(False)
        return cls(backbone, weights_version(folder))


def new_preference(name: str, backbone: Backbone, dataset: DatasetFolder) -> nn.Module:
    """Return an untrained module; keywords are those that stand out in this dataset's captions."""
    if name not in TRAINED:
        raise SettingsError(
            f"there is no baseline {name!r} to train. Choose among: {', '.join(TRAINED)}."
        )
    if name == IP_ADAPTER:
        return ImagePrompt(backbone)
    captions = (dataset.item(item_id).instruction for item_id in dataset.item_ids)
    return SoftPreference(backbone, Keywords.of(captions))


def save_preference(
    folder: Path, name: str, module: nn.Module, backbone_version: str, training: Mapping[str, Any]
) -> None:
    """Write a trained module."""
    content = {"baseline": name, "backbone": backbone_version, "training": dict(training)}
    save_weights(folder / f"{name}.safetensors", module.state_dict())
    write_text_atomic(folder / f"{name}.json", json.dumps(content, indent=2) + "\n")


def is_trained(folder: Path, name: str, backbone_version: str) -> bool:
    """Say whether a folder holds a baseline.

    Raises `ArtifactError` for one of another backbone, and for one that does not tell its own.
    """
    if not (folder / f"{name}.json").exists():
        return False
    _check_backbone(folder, name, backbone_version)
    return True


def load_preference(
    folder: Path, name: str, frozen: FrozenBackbone, dataset: DatasetFolder
) -> nn.Module:
    """Read a trained module. Raises `ArtifactError` where it is missing or of another backbone."""
    rebuild = _check_backbone(folder, name, frozen.version)
    module = new_preference(name, frozen.backbone, dataset)
    load_weights(folder / f"{name}.safetensors", module, rebuild=rebuild)
    return module.eval().requires_grad_(False)


def _check_backbone(folder: Path, name: str, version: str) -> str:
    """Return how a baseline is trained again. Raises `ArtifactError` where it has to be."""
    rebuild = f"pigeon-recsys train baseline --name {name} --data DIR --weights RUN --out {folder}"
    path = folder / f"{name}.json"
    try:
        trained_on = json.loads(path.read_text())["backbone"]
    except FileNotFoundError as exc:
        raise ArtifactError(path, "is missing", rebuild=rebuild) from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise ArtifactError(path, f"does not name a backbone ({exc})", rebuild=rebuild) from exc
    if trained_on != version:
        fault = f"was trained on backbone {trained_on}, not on {version}"
        raise ArtifactError(path, fault, rebuild=rebuild)
    return rebuild
