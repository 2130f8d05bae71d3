"""`pigeon-recsys train ratio`: what a person meets."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.withheld import Withholding
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.evaluation.evaluator_network import EvaluatorNetwork
from pigeon_recsys.generation.ratio_predictor import RatioPredictor
from pigeon_recsys.wiring import SHIPPED_WEIGHTS


def test_it_writes_a_predictor_and_compares_four_choices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, run = tmp_path / "world", tmp_path / "run"
    generate_world(world, num_items=60, num_users=40, seed=4, size=72)
    sizes = ["--users", "10", "--held-out-users", "2"]
    assert main(["train", "ratio", "--data", str(world), "--out", str(run), *sizes]) == 0
    record = json.loads((run / "ratio_predictor.json").read_text())
    score = record["held_out_selection_score"]
    assert set(score) == {"sweep", "predicted", "best_fixed", "random"}
    assert score["sweep"]["mean"] >= max(found["mean"] for found in score.values())
    assert (record["train_users"], record["held_out_users"]) == (10, 2)
    assert RatioPredictor.load(run).ratios[0] == 0.0
    assert "held_out_evaluator_score" not in record
    assert "of the sweep" in capsys.readouterr().out


def test_an_evaluator_that_selects_nothing_is_asked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, file = tmp_path / "world", tmp_path / "evaluator.safetensors"
    generate_world(world, num_items=60, num_users=40, seed=4, size=72)
    save_file(EvaluatorNetwork().state_dict(), file)
    sizes = ["--users", "10", "--held-out-users", "2", "--evaluator", str(file)]
    assert main(["train", "ratio", "--data", str(world), "--out", str(tmp_path), *sizes]) == 0
    record = json.loads((tmp_path / "ratio_predictor.json").read_text())
    judged, selected = (record[f"held_out_{name}_score"] for name in ("evaluator", "selection"))
    assert judged.keys() == selected.keys()
    assert judged["random"]["mean"] != selected["random"]["mean"]
    assert "held out evaluator score" in capsys.readouterr().out


def test_what_selects_may_not_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate_world(tmp_path / "world", num_items=60, num_users=40, seed=4, size=72)
    told = ["--data", str(tmp_path / "world"), "--out", str(tmp_path / "run")]
    embedder = str(SHIPPED_WEIGHTS / "embedder.safetensors")
    assert main(["train", "ratio", *told, "--evaluator", embedder]) == 2
    assert "What selects may not evaluate" in capsys.readouterr().err


def test_the_predictor_never_reads_what_its_run_withheld(tmp_path: Path) -> None:
    """The withheld files are made unreadable: whoever opened one would fail."""
    world, weights = tmp_path / "world", tmp_path / "run"
    generate_world(world, num_items=60, num_users=40, seed=4, size=72)
    dataset = DatasetFolder.open(world)
    for item_id in Withholding("emotion", 0.9).items(dataset):
        (world / dataset.rows[item_id].image).write_bytes(b"no picture")
    arguments = ["train", "ratio", "--data", str(world), "--users", "10", "--held-out-users", "1"]
    assert main([*arguments, "--out", str(tmp_path / "all")]) == 1
    shutil.copytree(SHIPPED_WEIGHTS, weights)
    card = json.loads((weights / "pigeon.json").read_text())
    card["training"]["fingerprint"] = dataset.fingerprint  # as if this world had trained it
    card["training"]["recipe"] = {"withhold": {"attribute": "emotion", "share": 0.9}}
    (weights / "pigeon.json").write_text(json.dumps(card))
    told = ["--weights", str(weights), "--out", str(tmp_path / "seen")]
    assert main([*arguments, *told]) == 0


def test_a_negative_seed_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tmp_path), "--out", str(tmp_path), "--seed", "-1"]
    assert main(["train", "ratio", *arguments]) == 2
    assert "--seed must be from 0 to 4294967295, got -1. Use 0." in capsys.readouterr().err
