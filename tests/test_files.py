"""Folders of a process that was killed while it put a new one in the place of an old one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pigeon_recsys.files import atomic_folder, recover_folder

DYING = """
import os, signal, sys
from pathlib import Path
from pigeon_recsys.files import atomic_folder

replaces, real = [], os.replace
def replace(*paths):
    if len(replaces) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    replaces.append(paths)
    real(*paths)
os.replace = replace
with atomic_folder(Path(sys.argv[1]), may_replace=lambda _: True) as new:
    (new / "file").write_text("new")
"""


@pytest.mark.parametrize(("num_replaces", "found"), [(0, "old"), (1, "new")])
def test_a_folder_is_whole_again_after_a_kill(
    num_replaces: int, found: str, tmp_path: Path
) -> None:
    """Killed before the old one is taken away, or after it and before the new one is there."""
    target = tmp_path / "index"
    target.mkdir()
    (target / "file").write_text("old")
    other = tmp_path / ".index.v2.abcd1234"  # of another target
    other.mkdir()
    died = subprocess.run(
        [sys.executable, "-c", DYING, str(target), str(num_replaces)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    assert target.exists() == (num_replaces == 0)
    recover_folder(target)
    assert (target / "file").read_text() == found
    assert {path.name for path in tmp_path.iterdir()} == {"index", other.name}


def test_nothing_to_recover_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "index"
    recover_folder(target)
    recover_folder(tmp_path / "nowhere" / "index")
    with atomic_folder(target, may_replace=lambda _: False) as new:
        (new / "file").write_text("new")
    recover_folder(target)
    assert (target / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
