"""What every benchmark's test shares: reading a result, and refusing one without provenance."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pigeon_recsys import software

ReadResult = Callable[[Path], tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture
def read_result(monkeypatch: pytest.MonkeyPatch) -> ReadResult:
    """Return a reader of settings and figures that first checks where the numbers come from."""
    monkeypatch.setattr(software, "commit", lambda: "0123456789ab-dirty")

    def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        result = json.loads(path.read_text())
        assert result["question"].endswith("?")
        assert result["commit"] == "0123456789ab-dirty"
        assert set(result["versions"]) == {"python", *software.LIBRARIES}
        assert set(result["hardware"]) == {"cpu", "cores", "system"}
        return result["settings"], result["figures"]

    return read
