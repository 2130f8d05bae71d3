"""What every benchmark's JSON says about where its numbers come from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.software import describe_software


def write_result(out: Path, question: str, settings: Mapping[str, Any], figures: Any) -> None:
    """Write a benchmark's figures with commit, hardware, versions and settings."""
    result = {
        "question": question,
        **describe_software(),
        "settings": dict(settings),
        "figures": figures,
    }
    write_text_atomic(out, json.dumps(result, indent=2, allow_nan=False) + "\n")
    print(f"written to {out}")
