"""The mask benchmark: what is kept of noise and of taste, and what the pictures show of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks._noisy_requests import NoisyRequest
from benchmarks.history_mask import estimates, kept_rates, main
from pigeon_recsys.backbones.weights import save_weights
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.evaluation.evaluator_network import EvaluatorNetwork
from pigeon_recsys.model.mask import MaskConfig
from tests.alignment.tiny_pigeon import save_tiny_run, tiny_pigeon


def request_of(user_id: str) -> NoisyRequest:
    return NoisyRequest(user_id, ("a", "b"), np.array([True, False]), "c", 0)


def test_kept_rates_are_means_over_the_tokens_of_either_kind():
    """Taste keeps 4 of 4 and 2 of 4 tokens, 0.75; noise keeps 1 of 4; the rest is 0.5."""
    keep = [np.array([[True, True], [True, True]]), np.array([[True, False], [False, False]])]
    keep.append(np.array([[True, True], [False, False]]))
    assert kept_rates(np.array([False, True, False]), keep) == {
        "kept_on_true_likes": 0.75,
        "kept_on_noise": 0.25,
        "kept_difference": 0.5,
    }


def test_rows_are_held_against_the_first_request_by_request():
    """Both rise by 0.25, so the difference has no spread although the values have."""
    requests = [request_of("u1"), request_of("u2")]
    found = estimates(requests, {"style": [0.5, 1.0]}, {"style": [0.25, 0.75]}, seed=0)
    assert found["measures"]["style"]["mean"] == 0.75
    assert found["measures"]["style"]["low"] < found["measures"]["style"]["high"]
    difference = found["minus_first"]["style"]
    assert (difference["mean"], difference["low"], difference["high"]) == (0.25, 0.25, 0.25)


def test_every_run_answers_under_its_own_mask_and_under_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_tiny_run(tmp_path / "one", tiny_pigeon())
    save_tiny_run(tmp_path / "two", tiny_pigeon(MaskConfig(kind="random", history_ratio=0.5)))
    world, out = tmp_path / "world", tmp_path / "found.json"
    generate_world(world, num_items=60, num_users=6, seed=4, size=64, noise_share=0.4)
    save_weights(tmp_path / "evaluator.safetensors", EvaluatorNetwork().state_dict())
    arguments = ["--data", str(world), "--users", "3", "--out", str(out)]
    arguments += ["--weights", str(tmp_path / "one"), str(tmp_path / "two")]
    main([*arguments, "--stand-in", str(tmp_path / "evaluator.safetensors")])
    result = json.loads(out.read_text())
    rows = result["figures"]["rows"]
    assert [(row["weights"], row["mask_trained_with"], row["mask"]) for row in rows] == [
        ("one", "trained", "trained"),
        ("one", "trained", "random"),
        ("one", "trained", "none"),
        ("two", "random", "random"),
        ("two", "random", "none"),
    ]
    assert [row["history_ratio"] for row in rows] == [0.2, 0.2, 0.2, 0.5, 0.5]
    assert rows[0]["minus_first"]["style_all"]["mean"] == 0
    assert rows[2]["measures"]["kept_on_noise"]["mean"] == 1
    assert rows[3]["measures"]["kept_on_noise"]["mean"] < 1
    assert {"dis_history", "dis_true_likes", "dis_noise"} <= set(rows[0]["measures"])
    assert 0 < result["settings"]["noise_share_of_windows"] < 1
    assert "mask random: kept_on_true_likes" in capsys.readouterr().out


def test_without_a_stand_in_nothing_is_compared_with_the_history(tmp_path: Path) -> None:
    save_tiny_run(tmp_path / "one", tiny_pigeon())
    world, out = tmp_path / "world", tmp_path / "found.json"
    generate_world(world, num_items=50, num_users=4, seed=4, size=64, noise_share=0.4)
    arguments = ["--data", str(world), "--weights", str(tmp_path / "one"), "--users", "1"]
    main([*arguments, "--out", str(out)])
    result = json.loads(out.read_text())
    measures = set(result["figures"]["rows"][0]["measures"])
    kept = {"kept_on_true_likes", "kept_on_noise", "kept_difference"}
    assert measures == {*kept, "content_all", "style_mean", "style_all"}
    assert result["settings"]["stand_in"] is None
