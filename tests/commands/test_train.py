"""`pigeon-recsys train`: what a person meets."""

import json
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.world import generate_world

RECIPE = """
embedder: {steps: 1, batch_size: 8, learning_rate: 1.0e-3}
tokenizer: {steps: 1, batch_size: 2, learning_rate: 1.0e-3}
refiner: {steps: 1, batch_size: 2, learning_rate: 1.0e-3}
backbone: {steps: 1, batch_size: 2, learning_rate: 1.0e-3}
stage1: {steps: 1, batch_size: 2, learning_rate: 1.0e-3}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=30, seed=4, size=72)
    return folder


def test_one_stage_trains_and_writes_its_result(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    arguments = ["--data", str(world), "--out", str(tmp_path / "run")]
    arguments += ["--recipe", str(tmp_path / "tiny.yaml"), "--json", str(tmp_path / "r.json")]
    assert main(["train", "tokenizer", *arguments]) == 0
    assert "tokenizer: " in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["stages"]["tokenizer"]["steps"] == 1
    assert (tmp_path / "run" / "backbone" / "tokenizer.safetensors").is_file()


def test_a_stage_without_the_one_before_names_it(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path / "run")]
    assert main(["train", "refiner", *arguments]) == 1
    error = capsys.readouterr().err
    assert "tokenizer.safetensors is missing. Rebuild it with: pigeon-recsys train" in error


def test_an_unknown_recipe_is_bad_usage(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--out", str(tmp_path), "--recipe", "wrold"]
    assert main(["train", "all", *arguments]) == 2
    assert "there is no recipe 'wrold'" in capsys.readouterr().err
