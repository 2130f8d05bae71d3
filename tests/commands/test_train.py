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


def test_a_measure_that_the_data_cannot_give_is_left_out(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing in this recipe tells which items show the same, so no manner can be judged."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    arguments = ["--data", str(world), "--out", str(tmp_path / "run")]
    assert main(["train", "embedder", *arguments, "--recipe", str(tmp_path / "tiny.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "caption_recall_at_10" in printed
    assert "manner_accuracy" not in printed
    report = json.loads((tmp_path / "run" / "embedder.json").read_text())
    assert report["validation"]["manner_accuracy"] is None


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("image: {height: 50}", "image.height: Input should be a multiple of 12 (got 50)"),
        ("language: {dim: 50}", "language: Value error, dim must be a multiple of 8 with 4 heads"),
        ("seed: -1", "seed: Input should be greater than or equal to 0 (got -1)"),
    ],
)
def test_a_recipe_out_of_range_is_bad_usage(
    line: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(f"{RECIPE}{line}\n")
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main(["train", "tokenizer", *arguments, "--recipe", str(tmp_path / "tiny.yaml")]) == 2
    assert fault in capsys.readouterr().err
