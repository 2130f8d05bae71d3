"""Whole files in a local folder: what `test_image_files.py` does not reach through the store."""

from pathlib import Path

import pytest

from pigeon_recsys_connectors.whole_files import INCOMING, WholeFiles


def incoming(folder: Path) -> list[Path]:
    return list((folder / INCOMING).iterdir())


def test_a_file_swept_up_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = WholeFiles(tmp_path)
    swept: list[Path] = []

    def lock(descriptor: int, operation: int) -> None:
        if not swept:
            swept.extend(incoming(tmp_path))
            swept[0].unlink()

    monkeypatch.setattr("pigeon_recsys_connectors.whole_files.fcntl.flock", lock)
    files.write("a.png", b"x")
    assert files.read("a.png", 9) == b"x"
    assert swept
    assert incoming(tmp_path) == []
