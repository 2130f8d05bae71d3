"""Pigeon on disk: its own small weights beside the backbone they belong to.

Folder: `pigeon.json` (sizes, prompt words, provenance of the training), `pigeon.safetensors`
(mask generator, reference embedding, LoRA), `backbone/`.

After preference alignment `stage1/` holds the first two as stage 1 left them. It can be loaded
like the folder itself, whose backbone it shares, so that both stages can be compared.
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
from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.files import write_bytes_atomic, write_text_atomic
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.ablation import Inputs
from pigeon_recsys.model.mask import MaskConfig
from pigeon_recsys.model.personalize import PersonalizeConfig
from pigeon_recsys.model.pigeon import Pigeon, PigeonConfig

REBUILD = "pigeon-recsys train all --recipe world --data DIR --out RUN"


SETTINGS_FILE = "pigeon.json"
WEIGHTS_FILE = "pigeon.safetensors"
BACKBONE_FOLDER = "backbone"
STAGE1_FOLDER = "stage1"


def save_pigeon(folder: Path, pigeon: Pigeon, training: Mapping[str, Any]) -> None:
    """Write Pigeon's own weights; the backbone's folder is left as it is.

    The settings come first: should the process end between the two files, they tell already
    that stage 1's weights are those in `stage1/`.
    """
    content = {"config": asdict(pigeon.config), "training": dict(training)}
    write_text_atomic(folder / SETTINGS_FILE, json.dumps(content, indent=2) + "\n")
    save_weights(folder / WEIGHTS_FILE, pigeon.own_state())


def training_record(folder: Path) -> dict[str, Any]:
    """Return what `save_pigeon` was told of the training. Raises `ArtifactError`."""
    record = _read_settings(folder / SETTINGS_FILE).get("training")
    if not isinstance(record, dict):
        path = folder / SETTINGS_FILE
        raise ArtifactError(path, "does not tell its training", rebuild=REBUILD)
    return record


def holds_stage2(run: Path) -> bool:
    """Say whether the run's weights are those of stage 2."""
    return "stage2" in training_record(run)


def keep_stage1(run: Path) -> Path:
    """Return the folder with the run's stage 1, put aside first where only the run holds it."""
    kept = run / STAGE1_FOLDER
    if not holds_stage2(run):
        for name in (WEIGHTS_FILE, SETTINGS_FILE):
            path = run / name
            if not path.is_file():
                raise ArtifactError(path, "is missing", rebuild=REBUILD)
            write_bytes_atomic(kept / name, path.read_bytes())
    return kept


def load_pigeon(folder: Path) -> Pigeon:
    """Read a folder that training wrote. Raises `ArtifactError` naming the file at fault."""
    config = _load_config(folder / SETTINGS_FILE)
    pigeon = Pigeon(MiniBackbone.load(_backbone_folder(folder)), config)
    path = folder / WEIGHTS_FILE
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
        config = _read_settings(path)["config"]
        personalize = config["personalize"] | {
            "lora_targets": tuple(config["personalize"]["lora_targets"])
        }
        return PigeonConfig(
            mask=MaskConfig(**config["mask"]),
            personalize=PersonalizeConfig(**personalize),
            instruction=Instruction(**config["instruction"]),
            inputs=Inputs(**config.get("inputs", {})),
        )
    except (TypeError, KeyError, SettingsError) as exc:
        raise ArtifactError(path, f"does not describe Pigeon ({exc})", rebuild=REBUILD) from exc


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError as exc:
        raise ArtifactError(path, "is missing", rebuild=REBUILD) from exc
    except ValueError as exc:
        raise ArtifactError(path, f"does not describe Pigeon ({exc})", rebuild=REBUILD) from exc
    return content


def _backbone_folder(folder: Path) -> Path:
    own, shared = folder / BACKBONE_FOLDER, folder.parent / BACKBONE_FOLDER
    return shared if folder.name == STAGE1_FOLDER and not own.is_dir() else own
