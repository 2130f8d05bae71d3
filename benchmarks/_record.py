"""What every benchmark's JSON says about where its numbers come from."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pigeon_recsys.files import write_text_atomic

LIBRARIES = ("pigeon-recsys", "torch", "transformers", "diffusers", "peft", "torchrec", "feast")
LIBRARIES += ("faiss-cpu", "onnxruntime")


def write_result(out: Path, question: str, settings: Mapping[str, Any], figures: Any) -> None:
    """Write a benchmark's figures with commit, hardware, versions and settings."""
    result = {
        "question": question,
        "commit": _commit(),
        "hardware": {"cpu": _cpu_name(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {name: _version(name) for name in LIBRARIES},
        "settings": dict(settings),
        "figures": figures,
    }
    write_text_atomic(out, json.dumps(result, indent=2, allow_nan=False) + "\n")
    print(f"written to {out}")


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip() or None


def _cpu_name() -> str | None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or None
    names = [line.split(":", 1)[1].strip() for line in info.open() if line.startswith("model name")]
    return names[0] if names else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
