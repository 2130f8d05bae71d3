"""`pigeon-recsys data`: exit codes, printed lines and JSON results."""

import argparse
import inspect
import json
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.commands import data
from pigeon_recsys.datasets.world import generate_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "world"
    generate_world(folder, num_items=50, num_users=3, seed=0, size=64)
    return folder


def test_a_sound_folder_exits_0_with_one_line(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "validate", str(world)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert ": 50 items, 3 users, " in line
    assert line.endswith("; every picture decodes, no faults")


def test_the_counts_are_written_as_json(world: Path, tmp_path: Path) -> None:
    assert main(["data", "validate", str(world), "--json", str(tmp_path / "r.json")]) == 0
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["num_items"], result["num_users"], result["faults"]) == (50, 3, [])


def test_a_folder_with_faults_exits_1_and_still_writes_them_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert main(["data", "validate", str(folder), "--json", str(tmp_path / "r.json")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"pigeon-recsys: {folder}: 1 fault\n"
        "  - dataset.yaml: does not exist. Add it, or name another folder.\n"
    )
    assert json.loads((tmp_path / "r.json").read_text()) == {
        "folder": str(folder),
        "faults": [
            {
                "kind": "missing file",
                "file": "dataset.yaml",
                "row": None,
                "value": None,
                "text": "does not exist. Add it, or name another folder.",
            }
        ],
    }


def test_validate_without_a_folder_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["data", "validate"])
    assert caught.value.code == 2
    assert "the following arguments are required: DIR" in capsys.readouterr().err


def test_info_tells_the_split(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(world)]) == 0
    counts, split = capsys.readouterr().out.splitlines()
    assert ": 50 items, 3 users, " in counts
    assert split.startswith("users: ")
    assert "attributes: " in split


def test_a_world_is_written_and_is_sound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, result = tmp_path / "world", tmp_path / "r.json"
    options = ["--items", "50", "--users", "2", "--seed", "5", "--size", "64"]
    assert main(["data", "world", "--out", str(out), *options, "--json", str(result)]) == 0
    assert f"{out}: 50 stickers, 2 users, " in capsys.readouterr().out
    assert json.loads(result.read_text())["seed"] == 5
    assert main(["data", "validate", str(out)]) == 0


def test_a_world_too_small_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "world", "--out", str(tmp_path / "w"), "--items", "3"]) == 2
    assert "number of items must be at least 50, got 3" in capsys.readouterr().err


def test_the_defaults_are_the_worlds_own() -> None:
    parameters = inspect.signature(generate_world).parameters
    parser = argparse.ArgumentParser()
    data.register(parser.add_subparsers())
    parsed = parser.parse_args(["data", "world", "--out", "w"])
    assert parsed.size == data.WORLD_SIZE == parameters["size"].default
    assert parsed.noise_share == data.WORLD_NOISE_SHARE == parameters["noise_share"].default
    assert parsed.pack_size == data.WORLD_PACK_SIZE == parameters["pack_size"].default
