"""The settings file that the demo leaves: the slot it ran, for code and `serve` to open again."""

import os
from pathlib import Path

import yaml

from pigeon_recsys.files import write_text_atomic

SLOT_FILE = "slot.yaml"
FEATURE_REPO, IMAGES = "feature_repo", "images"
DECISIONS = "decision_log"
KEPT_SLATES = 200  # for the viewer
DEADLINE_MS = 60_000  # the demo shows pictures made in full, on whatever processor there is


def write_slot_file(out: Path, data: Path, weights: Path | None) -> Path:
    """Write the settings of a slot over what lies in `out`; None stands for the shipped weights."""
    content = {
        "catalog": _from(out, data),
        "artifacts": ".",
        "histories": {"path": FEATURE_REPO},
        "items": {"path": FEATURE_REPO},
        "images": {"url": IMAGES},
        "generator": {"weights": "shipped" if weights is None else _from(out, weights)},
        "slot": {"deadline_ms": DEADLINE_MS},
        "blend": {"allowed_positions": list(range(1, 10))},
        "log": {"to": "parquet", "at": DECISIONS},
        "recent_slates": KEPT_SLATES,
        "http": {"viewer": True},  # without keys the service is for this machine alone
    }
    path = out / SLOT_FILE
    head = "# The slot of the demo: GenerationSlot.from_settings(path), docs/integrate.md\n"
    write_text_atomic(path, head + yaml.safe_dump(content, sort_keys=False))
    return path


def _from(out: Path, path: Path) -> str:
    """Return a path as the file in `out` names it: relative where it lies below."""
    inside = path.absolute().is_relative_to(out.absolute())
    return os.path.relpath(path, out) if inside else str(path.absolute())
