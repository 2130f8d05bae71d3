"""What each stage of a run was made from, on disk beside its weights.

    settings.json  as a stage starts: recipe, data, versions, commit, hardware, processes
    stages.json    as it ends: what it was made from, seconds, metrics

A stage's origin is its part of the recipe, the data and the weights it read. A checkpoint is
resumed only by a stage of the same origin, and a finished stage of the same origin is done.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pigeon_recsys.alignment.loop import TrainReport
from pigeon_recsys.alignment.processes import (
    is_first,
    num_processes,
    training_device,
    wait_for_all,
)
from pigeon_recsys.alignment.recipe import Recipe
from pigeon_recsys.alignment.train_state import checkpoint_path
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.software import describe_software

SETTINGS_FILE = "settings.json"
RECORD_FILE = "stages.json"


def origin_of(
    name: str, recipe: Recipe, dataset: DatasetFolder, run: Path, reads: Iterable[Path]
) -> dict[str, Any]:
    """Return all that decides what comes out of a stage; `reads` are files of the run folder."""
    return {
        "fingerprint": dataset.fingerprint,
        "recipe": getattr(recipe, name).model_dump(mode="json"),
        **recipe.shared(),
        "reads": {path.as_posix(): _digest(run / path) for path in reads},
    }


def is_done(run: Path, name: str, origin: Mapping[str, Any]) -> bool:
    """Say whether the run holds this stage, trained from the same origin."""
    return bool(origin.items() <= _read(run / RECORD_FILE).get(name, {}).items())


def record_start(run: Path, name: str, origin: Mapping[str, Any]) -> None:
    """Write what the stage is about to be trained with, and by which software."""
    checkpoint, path = checkpoint_path(run, name), run / SETTINGS_FILE
    settings = _read(path)
    if checkpoint.exists() and settings.get(name, {}).get("origin") != origin:
        raise ArtifactError(
            checkpoint,
            "was made from other data, another recipe or other weights",
            rebuild=f"delete {checkpoint} and train again",
        )
    wait_for_all()  # every process has compared before the first one writes
    if not is_first():
        return
    settings[name] = {
        "origin": dict(origin),
        "device": training_device().type,
        "processes": num_processes(),
        **describe_software(),
    }
    _write(path, settings)


def record_end(run: Path, name: str, origin: Mapping[str, Any], report: TrainReport) -> None:
    """Write how the stage ended; its checkpoint has nothing left to resume."""
    record = _read(run / RECORD_FILE)
    record[name] = {
        **origin,
        "steps": report.steps,
        "seconds": round(report.seconds, 1),
        "metrics": report.metrics,
    }
    _write(run / RECORD_FILE, record)
    checkpoint_path(run, name).unlink(missing_ok=True)


def _digest(path: Path) -> str | None:
    return sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return content


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text_atomic(path, json.dumps(content, indent=2) + "\n")
