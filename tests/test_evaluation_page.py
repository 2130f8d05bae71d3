"""The Python of docs/evaluation.md, run as written on a small world."""

import re
from pathlib import Path

import pytest

from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.generation.picture_file import read_provenance

MAX_LINES = 10  # beside imports


def test_the_generator_of_the_page_paints(
    repo_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (repo_root / "docs" / "evaluation.md").read_text()
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    lines = [line for line in found.group(1).splitlines() if line]
    assert sum(not line.startswith("from ") for line in lines) <= MAX_LINES
    generate_world(tmp_path / "world", num_items=60, num_users=4, seed=4, size=72)
    monkeypatch.chdir(tmp_path)
    exec(compile(found.group(1), "evaluation.md", "exec"), {})
    assert capsys.readouterr().out.endswith(" (72, 72, 3)\n")
    assert read_provenance(tmp_path / "picture.png").record is not None
