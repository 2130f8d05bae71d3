"""`stream store`: a history store to begin with, and nothing that is there is touched."""

from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.wiring import history_store_type


def test_it_makes_a_store_that_workers_can_open(tmp_path: Path) -> None:
    folder = tmp_path / "feast"
    assert main(["stream", "store", "--store", str(folder)]) == 0
    assert history_store_type("feast").open(folder).states(["ada"]) == {}


def test_what_is_there_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_text("mine")
    assert main(["stream", "store", "--store", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "kept").read_text() == "mine"
