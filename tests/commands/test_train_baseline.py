"""`pigeon-recsys train baseline`, and the baselines in `evaluate`: what a person meets."""

import json
import shutil
from pathlib import Path

import pytest

from pigeon_recsys.alignment.baselines import TRAINED
from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.evaluation.baselines.roster import NAMES
from pigeon_recsys.model.checkpoint import keep_stage1, save_pigeon
from pigeon_recsys.wiring import SHIPPED_WEIGHTS
from tests.alignment.tiny_pigeon import save_tiny_run, tiny_pigeon


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=30, seed=4, size=64)
    return folder


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of tiny weights that tells it was trained on the world."""
    folder, pigeon = tmp_path_factory.mktemp("run"), tiny_pigeon()
    save_tiny_run(folder, pigeon)
    training = {"dataset": "world", "fingerprint": DatasetFolder.open(world).fingerprint}
    save_pigeon(folder, pigeon, training)
    keep_stage1(folder)
    for name in ("embedder.safetensors", "embedder.json"):
        shutil.copy(SHIPPED_WEIGHTS / name, folder / name)
    return folder


def train(name: str, world: Path, run: Path, out: Path, *more: str) -> int:
    arguments = ["--name", name, "--data", str(world), "--weights", str(run), "--out", str(out)]
    return main(["train", "baseline", *arguments, *more])


def test_one_command_compares_all_baselines(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baselines = tmp_path / "baselines"
    for name in TRAINED:
        assert train(name, world, run, baselines, "--steps", "1") == 0
        assert f"{name}: " in capsys.readouterr().out
    arguments = ["--data", str(world), "--weights", str(run), "--out", str(tmp_path / "out")]
    arguments += ["--baselines", str(baselines), "--users", "2", "--methods", "baselines"]
    assert main(["evaluate", *arguments]) == 0
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [method["name"] for method in table["methods"]] == list(NAMES.values())
    assert set(table["selecting_networks"]) == {"embedder.safetensors"}
    assert (tmp_path / "out" / "contact_sheet.png").stat().st_size > 1000
    assert "| Textual Inversion | 2 of 2 |" in capsys.readouterr().out


def test_the_result_is_written_as_json(world: Path, run: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    assert train("pmg", world, run, tmp_path, "--steps", "2", "--json", str(result)) == 0
    found = json.loads(result.read_text())
    assert (found["baseline"], found["steps"], found["folder"]) == ("pmg", 2, str(tmp_path))


def test_a_baseline_that_learns_from_data_asks_for_its_folder(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(world), "--weights", str(run), "--out", str(tmp_path)]
    assert main(["evaluate", *arguments, "--methods", "pmg"]) == 2
    error = capsys.readouterr().err
    assert "the baseline 'pmg' learns from the data. Give --baselines DIR" in error


def test_no_steps_are_bad_usage(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("pmg", world, run, tmp_path, "--steps", "0") == 2
    assert "--steps must be at least 1, got 0" in capsys.readouterr().err


def test_a_baseline_never_reads_what_its_run_withheld(
    world: Path, run: Path, tmp_path: Path
) -> None:
    """The withheld files are made unreadable: whoever opened one would fail."""
    data, weights = tmp_path / "world", tmp_path / "run"
    shutil.copytree(world, data)
    shutil.copytree(run, weights)
    card = json.loads((weights / "pigeon.json").read_text())
    card["training"]["recipe"] = {"withhold": {"attribute": "emotion", "share": 0.9}}
    dataset = DatasetFolder.open(data)
    withheld = Withholding("emotion", 0.9).items(dataset)
    assert withheld
    for item_id in withheld:
        (data / dataset.rows[item_id].image).write_bytes(b"no picture")
    assert train("pmg", data, weights, tmp_path / "seen", "--steps", "1") == 1
    (weights / "pigeon.json").write_text(json.dumps(card))
    assert train("pmg", data, weights, tmp_path / "out", "--steps", "1") == 0
