"""`pigeon-recsys train ratio`: what a person meets."""

import json
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.generation.ratio_predictor import RatioPredictor


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
    assert "of the sweep" in capsys.readouterr().out
