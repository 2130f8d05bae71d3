"""What is learned from outcomes, and that nothing learned is changed in place."""

import json
import math
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs, Option
from pigeon_recsys.ranking.beliefs_document import beliefs_from_json, beliefs_to_json

A, B = Option("item-1", "a", (1.0, 2.0)), Option("item-2", "b", (1.0, -1.0))


def test_a_beta_counts_rewards_and_what_is_left_of_them() -> None:
    """Prior 1 and 1; rewards 1, 0.25 and 0 make 2.25 and 2.75, so 2.25 / 5."""
    beliefs = BetaBeliefs()
    for reward in (1, 0.25, 0):
        beliefs = beliefs.updated(A, reward)
    mean, std = beliefs.estimates([A, B])
    assert mean == pytest.approx([2.25 / 5, 0.5])
    assert std == pytest.approx([math.sqrt(2.25 * 2.75 / (25 * 6)), math.sqrt(1 / 12)])


def test_a_linear_arm_is_ridge_regression() -> None:
    rng = np.random.default_rng(1)
    x_ND, rewards_N = rng.normal(size=(50, 2)), rng.random(50)
    beliefs = LinearBeliefs(2, ridge=2.0, noise=0.3)
    for x_D, reward in zip(x_ND, rewards_N, strict=True):
        beliefs = beliefs.updated(Option("x", "a", tuple(x_D)), reward)
    inverse = np.linalg.inv(x_ND.T @ x_ND + 2 * np.eye(2))
    point = np.array(A.features)
    mean, std = beliefs.estimates([A, B])
    assert mean[0] == pytest.approx(point @ inverse @ x_ND.T @ rewards_N)
    assert std[0] == pytest.approx(0.3 * math.sqrt(point @ inverse @ point))
    assert (mean[1], std[1]) == pytest.approx((0, 0.3))  # never tried: √(1 + 1) · 0.3 / √2


def test_an_update_leaves_the_old_beliefs_as_they_were() -> None:
    for old in (BetaBeliefs(), LinearBeliefs(2)):
        before = beliefs_to_json(old)
        new = old.updated(A, 1).updated(A, 0)
        assert beliefs_to_json(old) == before != beliefs_to_json(new)


def test_beliefs_survive_json() -> None:
    for empty in (BetaBeliefs(0.5, 2), LinearBeliefs(2, 3.0, 0.1)):
        beliefs = empty.updated(A, 1).updated(B, 0.5)
        again = beliefs_from_json(json.loads(json.dumps(beliefs_to_json(beliefs))))
        assert beliefs_to_json(again) == beliefs_to_json(beliefs)
        assert again.estimates([A, B])[0] == pytest.approx(beliefs.estimates([A, B])[0])


LINEAR = {"version": 1, "kind": "linear", "num_features": 1, "ridge": 1, "noise": 1, "arms": {}}
BETA = {"version": 1, "kind": "beta", "prior_successes": 1, "prior_failures": 1, "counts": {}}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (5, "beliefs: "),
        ({"kind": "gamma"}, "beliefs: Input tag 'gamma'"),
        ({**BETA, "version": 2}, "beliefs.beta.version"),
        ({**BETA, "prior_successes": math.nan, "extra": 1}, "prior_successes: .*; .*extra"),
        ({**BETA, "prior_failures": 0}, "prior_failures must be 0.5 or more, got 0"),
        ({**BETA, "counts": {"a": [1, -2]}}, "counts.a must be two finite counts"),
        ({**LINEAR, "arms": {"a": {"squares": [], "moments": [1]}}}, "arms.a must hold 1 moments"),
        (
            {**LINEAR, "arms": {"a": {"squares": [[-3]], "moments": [1]}}},
            "arms.a.squares is no sum of squares",
        ),
        ({**LINEAR, "noise": 0}, "beliefs.noise must be above 0, got 0"),
        ({**LINEAR, "num_features": 0}, "num_features must be 1 or more"),
    ],
)
def test_a_document_that_holds_no_beliefs_is_refused(document: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        beliefs_from_json(document)


@pytest.mark.parametrize("reward", [-0.1, 1.1, math.nan])
def test_a_reward_outside_zero_to_one_is_refused(reward: float) -> None:
    for beliefs in (BetaBeliefs(), LinearBeliefs(2)):
        with pytest.raises(SettingsError, match="reward of option 'item-1' must be from 0 to 1"):
            beliefs.updated(A, reward)


def test_features_must_be_as_many_as_the_model_has_and_finite() -> None:
    for features in ((1.0,), (1.0, math.nan)):
        with pytest.raises(SettingsError, match="option 'x' must have 2 finite features, got"):
            LinearBeliefs(2).estimates([Option("x", "a", features)])
