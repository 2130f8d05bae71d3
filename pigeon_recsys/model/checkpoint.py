"""Pigeon on disk: its own small weights beside the backbone they belong to.

Folder: `pigeon.json` (sizes, prompt words, provenance of the training), `pigeon.safetensors`
(mask generator, reference embedding, LoRA), `backbone/`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.backbones.weights import save_weights
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.mask import MaskConfig
from pigeon_recsys.model.personalize import PersonalizeConfig
from pigeon_recsys.model.pigeon import Pigeon, PigeonConfig

REBUILD = "pigeon-recsys train all --recipe world --data DIR --out RUN"


def save_pigeon(folder: Path, pigeon: Pigeon, training: Mapping[str, Any]) -> None:
    """Write Pigeon's own weights; the backbone's folder is left as it is."""
    save_weights(folder / "pigeon.safetensors", pigeon.own_state())
    content = {"config": asdict(pigeon.config), "training": dict(training)}
    write_text_atomic(folder / "pigeon.json", json.dumps(content, indent=2) + "\n")


def load_pigeon(folder: Path) -> Pigeon:
    """Read a folder that training wrote. Raises `ArtifactError` naming the file at fault."""
    config = _load_config(folder / "pigeon.json")
    pigeon = Pigeon(MiniBackbone.load(folder / "backbone"), config)
    path = folder / "pigeon.safetensors"
    if not path.is_file():
        raise ArtifactError(path, "is missing", rebuild=REBUILD)
    try:
        state = load_file(path)
    except SafetensorError as exc:
        raise ArtifactError(path, f"is corrupt ({exc})", rebuild=REBUILD) from exc
    expected = {name: tensor.shape for name, tensor in pigeon.own_state().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    if expected != found:
        differing = sorted(set(expected.items()) ^ set(found.items()))
        raise ArtifactError(
            path, f"does not fit the model (first: {differing[0]})", rebuild=REBUILD
        )
    pigeon.load_state_dict(state, strict=False)
    return pigeon.eval()


def weights_version(folder: Path) -> str:
    """Return twelve hex digits over all weight files of the folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _load_config(path: Path) -> PigeonConfig:
    try:
        config = json.loads(path.read_text())["config"]
        personalize = config["personalize"] | {
            "lora_targets": tuple(config["personalize"]["lora_targets"])
        }
        return PigeonConfig(
            mask=MaskConfig(**config["mask"]),
            personalize=PersonalizeConfig(**personalize),
            instruction=Instruction(**config["instruction"]),
        )
    except FileNotFoundError as exc:
        raise ArtifactError(path, "is missing", rebuild=REBUILD) from exc
    except (ValueError, TypeError, KeyError) as exc:
        raise ArtifactError(path, f"does not describe Pigeon ({exc})", rebuild=REBUILD) from exc
