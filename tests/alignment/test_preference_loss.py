"""The preference losses: worked by hand, as properties, and against recorded numbers."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from pigeon_recsys.alignment.preference_loss import (
    IGNORED,
    LossKind,
    PairLogProbs,
    PreferenceLoss,
    compare,
    image_log_prob,
)
from pigeon_recsys.errors import SettingsError

KINDS: tuple[LossKind, ...] = ("sigmoid", "ipo", "hinge")
margins = st.floats(-60, 60, width=32)
betas = st.floats(0.01, 1.0)
unhurried = settings(deadline=None)  # the first call loads parts of torch


def of_margin(loss: PreferenceLoss, margin: float) -> float:
    return loss.of_margin(torch.tensor([margin], dtype=torch.float64)).item()


def test_losses_of_two_pairs_worked_by_hand() -> None:
    """Chosen gains 4 and 1, rejected gains −2 and 3, so the margins are 6 and −2.

    With β ½: sigmoid −ln σ(3) and −ln σ(−1); hinge max(0, 1 − 3) and 1 + 1;
    IPO (6 − 1)² and (−2 − 1)². Rewards are half the gains.
    """
    policy = PairLogProbs(torch.tensor([-10.0, -20.0]), torch.tensor([-14.0, -18.0]))
    reference = PairLogProbs(torch.tensor([-14.0, -21.0]), torch.tensor([-12.0, -21.0]))
    losses = {
        kind: compare(policy, reference, PreferenceLoss(kind, beta=0.5)).loss_B.tolist()
        for kind in KINDS
    }
    sigmoid = [math.log1p(math.exp(-3)), math.log1p(math.exp(1))]
    assert losses["sigmoid"] == pytest.approx(sigmoid)
    assert losses["hinge"] == [0, 2]
    assert losses["ipo"] == [25, 9]
    result = compare(policy, reference, PreferenceLoss(beta=0.5))
    assert result.chosen_reward_B.tolist() == [2.0, 0.5]
    assert result.rejected_reward_B.tolist() == [-1.0, 1.5]
    assert result.reward_margin_B.tolist() == [3.0, -1.0]


def test_label_smoothing_mixes_both_ways_round() -> None:
    """β·margin = ln 3, so σ = ¾: −0.9·ln ¾ − 0.1·ln ¼."""
    loss = PreferenceLoss(beta=1.0, label_smoothing=0.1)
    expected = -0.9 * math.log(0.75) - 0.1 * math.log(0.25)
    assert of_margin(loss, math.log(3)) == pytest.approx(expected)


def test_log_probabilities_are_summed_over_all_image_tokens() -> None:
    """Two ids with logits ln 3 and 0 have probabilities ¾ and ¼; the ignored one counts 0."""
    logits = torch.tensor([[math.log(3), 0.0]]).expand(1, 3, 2)
    targets = torch.tensor([[0, 1, IGNORED]])
    whole = math.log(0.75) + math.log(0.25)
    assert image_log_prob(logits, targets).item() == pytest.approx(whole)
    released = image_log_prob(logits, targets, drops_first_token=True)
    assert released.item() == pytest.approx(math.log(0.25))


@unhurried
@given(margins, betas, st.sampled_from(KINDS))
def test_no_loss_is_negative_or_infinite(margin: float, beta: float, kind: LossKind) -> None:
    loss = of_margin(PreferenceLoss(kind, beta), margin)
    assert 0 <= loss < math.inf


@unhurried
@given(margins, margins, betas, st.sampled_from(("sigmoid", "hinge")))
def test_a_larger_margin_never_costs_more(
    one: float, other: float, beta: float, kind: LossKind
) -> None:
    loss = PreferenceLoss(kind, beta)
    small, large = sorted((one, other))
    assert of_margin(loss, large) <= of_margin(loss, small)


@unhurried
@given(betas, st.floats(0.01, 30))
def test_ipo_is_least_at_its_target_and_equal_at_both_sides(beta: float, away: float) -> None:
    loss, target = PreferenceLoss("ipo", beta), 1 / (2 * beta)
    assert of_margin(loss, target) == pytest.approx(0, abs=1e-9)
    assert of_margin(loss, target + away) == pytest.approx(of_margin(loss, target - away))


@unhurried
@given(margins, betas, st.floats(0, 0.49))
def test_smoothing_weighs_a_pair_against_its_swap(
    margin: float, beta: float, smoothing: float
) -> None:
    """The smoothed loss of a pair and of its swap sum to the unsmoothed ones."""
    plain, smooth = PreferenceLoss(beta=beta), PreferenceLoss(beta=beta, label_smoothing=smoothing)
    assert of_margin(smooth, margin) + of_margin(smooth, -margin) == pytest.approx(
        of_margin(plain, margin) + of_margin(plain, -margin)
    )


@unhurried
@given(st.floats(-50, 50, width=32), st.sampled_from(KINDS))
def test_a_shift_of_policy_and_reference_alike_changes_nothing(
    shift: float, kind: LossKind
) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4, 6, generator=generator, dtype=torch.float64) * 10
    before = compare(PairLogProbs(*rows[:2]), PairLogProbs(*rows[2:]), PreferenceLoss(kind))
    rows = rows + torch.tensor([shift, 0.0, shift, 0.0], dtype=torch.float64)[:, None]
    after = compare(PairLogProbs(*rows[:2]), PairLogProbs(*rows[2:]), PreferenceLoss(kind))
    torch.testing.assert_close(before.loss_B, after.loss_B)


def test_a_policy_equal_to_its_reference_starts_at_ln_two() -> None:
    same = PairLogProbs(torch.tensor([-30.0]), torch.tensor([-40.0]))
    result = compare(same, same, PreferenceLoss())
    assert result.loss_B.item() == pytest.approx(math.log(2))
    assert result.reward_margin_B.item() == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "dpo"}, "one of sigmoid, ipo, hinge, got 'dpo'"),
        ({"beta": 0.0}, r"beta must be above 0, got 0\.0"),
        ({"label_smoothing": 0.5}, r"below 0\.5, where a label says nothing, got 0\.5"),
        ({"kind": "ipo", "label_smoothing": 0.1}, r"0\.1 has no effect on ipo\. Set it to 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        PreferenceLoss(**settings)


def assert_recorded(found: Tensor, recorded: Tensor) -> None:
    torch.testing.assert_close(found, recorded, atol=1e-5, rtol=0)


def test_losses_match_the_reference_implementation(golden: Path) -> None:
    """Smoothing is refused where it has no effect; the recorded numbers agree that it has none."""
    recorded = load_file(golden / "5_dpo" / "dpo_loss.safetensors")
    policy = PairLogProbs(recorded["policy_chosen"], recorded["policy_rejected"])
    reference = PairLogProbs(recorded["reference_chosen"], recorded["reference_rejected"])
    compared = 0
    for name in recorded:
        parts = name.split("|")
        if parts[0] != "loss" or parts[1] not in KINDS or parts[4:] != ["reverse_kl", "rf0"]:
            continue
        beta, smoothing = float(parts[2][1:]), float(parts[3][2:])
        loss = PreferenceLoss(parts[1], beta, smoothing if parts[1] == "sigmoid" else 0.0)
        result = compare(policy, reference, loss)
        assert_recorded(result.loss_B, recorded[name])
        assert_recorded(result.chosen_reward_B, recorded[f"chosen_rewards|b{beta:g}"])
        assert_recorded(result.rejected_reward_B, recorded[f"rejected_rewards|b{beta:g}"])
        compared += 1
    assert compared == 18


def test_log_probabilities_match_the_reference_implementation(golden: Path) -> None:
    recorded = load_file(golden / "5_dpo" / "logps.safetensors")
    found = image_log_prob(recorded["logits"][:, :-1], recorded["labels"][:, 1:])
    assert_recorded(found, recorded["logps"])
