"""`pigeon-recsys train baseline`, and the baselines in `evaluate`: what a person meets."""

import json
import shutil
from pathlib import Path

import pytest

from pigeon_recsys.alignment.baselines import TRAINED
from pigeon_recsys.alignment.recipe import load_recipe
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
    recipe = load_recipe("quick-sticker").model_dump(mode="json")
    recipe["stage1"] |= {"steps": 2, "batch_size": 2, "warmup_steps": 1}
    fingerprint = DatasetFolder.open(world).fingerprint
    training = {"dataset": "world", "fingerprint": fingerprint, "recipe": recipe}
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


def test_one_command_trains_what_is_missing_and_compares_it(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the recipe of the run, on what it was trained on, once."""
    generate_world(tmp_path / "unseen", num_items=60, num_users=12, seed=5, size=64)
    arguments = ["--data", str(tmp_path / "unseen"), "--weights", str(run), "--users", "2"]
    arguments += ["--out", str(tmp_path / "out"), "--methods", "pmg", "ip-adapter"]
    assert main(["evaluate", *arguments, "--trained-on", str(world)]) == 0
    trained = [tmp_path / "out" / "baselines" / f"{name}.json" for name in TRAINED]
    for path in trained:
        told = json.loads(path.read_text())["training"]
        assert (told["recipe"]["steps"], told["fingerprint"]) == (
            2,
            DatasetFolder.open(world).fingerprint,
        )
    before = [path.stat().st_mtime_ns for path in trained]
    assert main(["evaluate", *arguments]) == 0, "nothing is left to train"
    assert [path.stat().st_mtime_ns for path in trained] == before

    told = json.loads(trained[0].read_text()) | {"backbone": "another"}
    trained[0].write_text(json.dumps(told))
    before = [path.stat().st_mtime_ns for path in trained]
    trained[1].unlink()
    assert main(["evaluate", *arguments, "--trained-on", str(world)]) == 1
    assert "was trained on backbone another, not on" in capsys.readouterr().err
    assert trained[0].stat().st_mtime_ns == before[0]
    assert not trained[1].exists(), "nothing is trained before that is told"


def test_baselines_to_train_ask_for_the_data_of_their_run(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate_world(tmp_path / "unseen", num_items=60, num_users=12, seed=5, size=64)
    arguments = ["--data", str(tmp_path / "unseen"), "--weights", str(run), "--methods", "pmg"]
    assert main(["evaluate", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert "give that folder, by --data to train it, by --trained-on" in capsys.readouterr().err


def test_a_run_that_does_not_tell_its_recipe_asks_for_one(
    world: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "run"
    shutil.copytree(run, weights)
    card = json.loads((weights / "pigeon.json").read_text())
    del card["training"]["recipe"]
    (weights / "pigeon.json").write_text(json.dumps(card))
    assert train("pmg", world, weights, tmp_path / "out") == 2
    assert "does not tell a recipe that this version reads" in capsys.readouterr().err
    assert train("pmg", world, weights, tmp_path / "out", "--recipe", "no-such") == 2


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
    card["training"]["recipe"]["withhold"] = {"attribute": "emotion", "share": 0.9}
    dataset = DatasetFolder.open(data)
    withheld = Withholding("emotion", 0.9).items(dataset)
    assert withheld
    for item_id in withheld:
        (data / dataset.rows[item_id].image).write_bytes(b"no picture")
    assert train("pmg", data, weights, tmp_path / "seen", "--steps", "1") == 1
    (weights / "pigeon.json").write_text(json.dumps(card))
    assert train("pmg", data, weights, tmp_path / "out", "--steps", "1") == 0
