"""Which software and machine a result comes from: commit, versions, hardware.

The demo's report, every benchmark and every run folder say it in the same words.
"""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "pigeon-recsys",
    "torch",
    "transformers",
    "diffusers",
    "peft",
    "torchrec",
    "feast",
    "kafka-python",
    "faiss-cpu",
    "onnxruntime",
)
GIT_TIMEOUT_S = 5


def describe_software() -> dict[str, Any]:
    """Return commit, versions and hardware as JSON holds them; unknown is None."""
    return {"commit": commit(), "versions": versions(), "hardware": hardware()}


def commit() -> str | None:
    """Return the commit of the checkout this runs from, with `-dirty`; None outside of one."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def versions() -> dict[str, str | None]:
    """Return the version of Python and of each library, None where it is not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def hardware() -> dict[str, Any]:
    """Return the processor's name, its cores and the operating system."""
    return {"cpu": _cpu_name(), "cores": os.cpu_count(), "system": platform.platform()}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str | None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or None
    lines = info.read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else None
