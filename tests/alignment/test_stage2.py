"""Stage 2: what it teaches, what it leaves alone, and the released code's recorded forward."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from pigeon_recsys.alignment.examples import ItemTokens
from pigeon_recsys.alignment.loop import LoopSettings
from pigeon_recsys.alignment.pairs import PairTable
from pigeon_recsys.alignment.preference_loss import (
    PairLogProbs,
    PreferenceLoss,
    compare,
    image_log_prob,
)
from pigeon_recsys.alignment.recipe import Stage2Recipe
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.alignment.stage2 import Policy, PreferenceSettings, pair_losses, train_stage2
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.checkpoint import keep_stage1, load_pigeon, save_pigeon, training_record
from pigeon_recsys.model.mask import MaskConfig, MaskKind
from pigeon_recsys.model.personalize import (
    REFERENCE,
    PersonalizeConfig,
    add_lora,
    freeze_reference,
    lora_parameters,
    reference_model,
)
from pigeon_recsys.model.pigeon import Pigeon
from tests.alignment.tiny_pigeon import save_tiny_run, tiny_items, tiny_pigeon

SETTINGS = LoopSettings(steps=12, learning_rate=2e-2, warmup_steps=1, log_every=1)
RECORDED_LOSSES = (  # of planted preferences by step; the first is ln 2
    *(0.693147, 0.652710, 0.619753, 0.618063, 0.605711, 0.604748),
    *(0.607240, 0.606531, 0.602890, 0.588118, 0.599505, 0.595007),
)


@pytest.fixture
def pigeon() -> Pigeon:
    return tiny_pigeon()


@pytest.fixture
def items(pigeon: Pigeon) -> ItemTokens:
    return tiny_items(pigeon)


def planted_pairs(items: ItemTokens, count: int = 6) -> PairTable:
    """Prefer images whose first id is 7 to those whose first id is 9, whatever the prompt."""
    rng = np.random.default_rng(2)
    window = rng.integers(len(items.row), size=(count, 6))
    chosen = items.visual_NT[rng.integers(len(items.row), size=count)].clone()
    rejected = items.visual_NT[rng.integers(len(items.row), size=count)].clone()
    chosen[:, 0], rejected[:, 0] = 7, 9
    return PairTable(window, chosen, rejected, np.linspace(0.1, 0.6, count, dtype=np.float32))


def align(
    pigeon: Pigeon,
    items: ItemTokens,
    run: Path,
    preference: PreferenceSettings | None = None,
    settings: LoopSettings = SETTINGS,
) -> dict[str, float]:
    pairs = planted_pairs(items)
    report = train_stage2(
        pigeon, items, pairs, pairs, preference or PreferenceSettings(), settings, run, 4
    )
    return report.metrics


def test_planted_preferences_are_learnt_and_all_else_stays_bit_for_bit(
    pigeon: Pigeon, items: ItemTokens, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in pigeon.state_dict().items()}
    metrics = align(pigeon, items, tmp_path)
    assert metrics["reward_margin"] > 0.05
    assert metrics["reward_accuracy"] == 1
    assert metrics["validation_reward_margin"] > 0.05
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert losses == pytest.approx(RECORDED_LOSSES, rel=1e-3), "the training changed"
    after = pigeon.state_dict()
    policy = {f"backbone.language_model.{name}" for name in lora_parameters(pigeon.backbone)}
    assert all(not torch.equal(after[name], before[name]) for name in policy)
    kept = before.keys() - policy
    assert {name for name in kept if not torch.equal(after[name], before[name])} == set()
    reference = lora_parameters(pigeon.backbone, REFERENCE)
    assert len(reference) == len(policy)
    for name, weight in reference.items():
        stage1 = before["backbone.language_model." + name.replace("reference", "default")]
        assert torch.equal(weight, stage1), name
        assert not weight.requires_grad, name


@pytest.mark.parametrize(
    ("keys", "first_loss"),
    [
        ({"loss": "sigmoid", "beta": 0.2}, np.log(2)),
        ({"loss": "sigmoid", "label_smoothing": 0.2}, np.log(2)),
        ({"loss": "ipo", "beta": 0.25}, 4.0),
        ({"loss": "hinge"}, 1.0),
    ],
)
def test_every_loss_of_a_recipe_teaches_the_planted_preferences(
    keys: dict[str, Any], first_loss: float, pigeon: Pigeon, items: ItemTokens, tmp_path: Path
) -> None:
    """At a margin of zero IPO is (1/(2β))², hinge 1, and sigmoid ln 2 however smoothed."""
    recipe = Stage2Recipe(steps=1, batch_size=1, learning_rate=1.0, **keys)
    metrics = align(pigeon, items, tmp_path, recipe.preference())
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert losses[0] == pytest.approx(first_loss, abs=1e-5)
    assert losses[-1] < losses[0]
    assert metrics["reward_accuracy"] == 1
    margin = torch.tensor([metrics["reward_margin"] / recipe.beta])
    # of a batch's mean margin the convex losses are at most its mean loss
    assert recipe.preference().loss.of_margin(margin).item() <= metrics["loss"] + 1e-6


def test_label_smoothing_learns_more_slowly(items: ItemTokens, tmp_path: Path) -> None:
    """One pair in five is believed to be the wrong way round: the best margin is finite."""
    margins = []
    for smoothing in (0.0, 0.2):
        loss = PreferenceLoss(beta=1.0, label_smoothing=smoothing)
        run = tmp_path / str(smoothing)
        metrics = align(tiny_pigeon(), items, run, PreferenceSettings(loss=loss))
        margins.append(metrics["reward_margin"])
    assert margins[1] < 0.8 * margins[0]


@pytest.mark.parametrize(("sft_weight", "warns"), [(0.0, True), (1.0, False)])
def test_a_policy_that_leaves_held_out_chosen_images_is_told_of(
    sft_weight: float,
    warns: bool,
    items: ItemTokens,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Held-out pairs the other way round are the sharpest case of chosen images left behind."""
    pairs = planted_pairs(items)
    turned = replace(pairs, chosen_PT=pairs.rejected_PT, rejected_PT=pairs.chosen_PT)
    preference = PreferenceSettings(sft_weight=sft_weight)
    settings = replace(SETTINGS, steps=40, learning_rate=0.1)
    metrics = train_stage2(
        tiny_pigeon(), items, pairs, turned, preference, settings, tmp_path, 4
    ).metrics
    chosen, rejected = (
        metrics[f"validation_{name}"] for name in ("chosen_reward", "rejected_reward")
    )
    assert chosen - rejected == pytest.approx(metrics["validation_reward_margin"], abs=1e-6)
    assert (chosen / preference.loss.beta < -1) == warns
    assert any("Raise stage2.sft_weight" in text for text in caplog.messages) == warns


@pytest.mark.parametrize("kind", ["trained", "random", "none"])
def test_policy_and_reference_start_alike_whatever_the_mask(kind: MaskKind) -> None:
    """Same masks, no dropout: the margin is zero to the bit, and the loss is ln 2."""
    pigeon = tiny_pigeon(MaskConfig(kind=kind))
    items = tiny_items(pigeon)
    Policy(pigeon).train()
    generator = torch.Generator().manual_seed(3)
    ratio = torch.full((6,), 0.5)
    settings = PreferenceSettings()
    losses = pair_losses(pigeon, items, planted_pairs(items), ratio, settings, generator)
    assert losses["reward_margin"].item() == 0
    assert losses["loss"].item() == pytest.approx(np.log(2))


def test_only_the_policy_adapter_receives_gradients(pigeon: Pigeon, items: ItemTokens) -> None:
    Policy(pigeon)
    ratio = torch.full((6,), 0.5)
    losses = pair_losses(pigeon, items, planted_pairs(items), ratio, PreferenceSettings(), None)
    losses["loss"].backward()
    moved = {name for name, p in pigeon.named_parameters() if p.grad is not None}
    policy = {f"backbone.language_model.{name}" for name in lora_parameters(pigeon.backbone)}
    assert moved == policy


def test_the_cross_entropy_of_the_chosen_image_joins_by_its_weight(
    pigeon: Pigeon, items: ItemTokens
) -> None:
    Policy(pigeon)
    ratio, pairs = torch.full((6,), 0.5), planted_pairs(items)
    plain = pair_losses(pigeon, items, pairs, ratio, PreferenceSettings(), None)
    mixed = pair_losses(pigeon, items, pairs, ratio, PreferenceSettings(sft_weight=0.25), None)
    assert mixed["loss"].item() == pytest.approx(
        plain["loss"].item() + 0.25 * plain["sft_loss"].item()
    )
    num_tokens = pairs.chosen_PT.shape[1]
    mean_log_prob = plain["chosen_log_prob"].item() / num_tokens
    assert plain["sft_loss"].item() == pytest.approx(-mean_log_prob)


def test_a_killed_alignment_ends_with_the_same_weights(
    pigeon: Pigeon, items: ItemTokens, tmp_path: Path
) -> None:
    """The second run finds the checkpoint of step 6 only, and makes the last six steps again."""
    every = replace(SETTINGS, save_every=6)
    align(pigeon, items, tmp_path / "whole", settings=every)
    first = tiny_pigeon()
    with pytest.raises(KeyboardInterrupt):
        with_kill_at(first, items, tmp_path / "killed", every)
    second = tiny_pigeon()
    align(second, items, tmp_path / "killed", settings=every)
    for name, weight in lora_parameters(second.backbone).items():
        assert torch.equal(weight, lora_parameters(pigeon.backbone)[name]), name


def with_kill_at(pigeon: Pigeon, items: ItemTokens, run: Path, settings: LoopSettings) -> None:
    """Align until something looks at the weights a seventh time."""
    calls, target_logits = 0, pigeon.target_logits

    def counted(*args: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls > 2 * 7:
            raise KeyboardInterrupt
        return target_logits(*args)

    pigeon.target_logits = counted  # type: ignore[method-assign]
    align(pigeon, items, run, settings=settings)


def test_pairs_below_the_margin_or_of_equal_tokens_are_left_out(items: ItemTokens) -> None:
    """Margins 0.1 to 0.6 in steps of 0.1; the pair of margin 0.5 has the same tokens twice."""
    pairs = planted_pairs(items)
    pairs.rejected_PT[4] = pairs.chosen_PT[4]
    assert pairs.telling(0.35).margin_P.tolist() == pytest.approx([0.4, 0.6])
    assert len(pairs.telling(0.0)) == 5


def test_a_margin_that_leaves_no_pair_is_refused(
    pigeon: Pigeon, items: ItemTokens, tmp_path: Path
) -> None:
    message = r"min_margin 0\.9 leaves none of 6 pairs to learn from \(largest margin: 0\.6\)"
    with pytest.raises(SettingsError, match=message):
        align(pigeon, items, tmp_path, PreferenceSettings(min_margin=0.9))


def test_a_run_keeps_both_stages(pigeon: Pigeon, items: ItemTokens, tmp_path: Path) -> None:
    """Aligning again starts from stage 1, not from the aligned weights."""
    save_tiny_run(tmp_path, pigeon)
    stage1 = load_pigeon(tmp_path).own_state()
    kept = keep_stage1(tmp_path)
    align(pigeon, items, tmp_path)
    save_pigeon(tmp_path, pigeon, training_record(kept) | {"stage2": {"loss": 0.1}})
    assert keep_stage1(tmp_path) == kept
    assert training_record(tmp_path).keys() == {"stage1", "stage2"}
    assert training_record(kept).keys() == {"stage1"}
    again, aligned = load_pigeon(kept).own_state(), load_pigeon(tmp_path).own_state()
    assert again.keys() == aligned.keys() == stage1.keys()
    assert all(torch.equal(again[name], stage1[name]) for name in stage1)
    changed = {name for name in stage1 if not torch.equal(aligned[name], stage1[name])}
    assert changed
    assert all("lora_" in name for name in changed)


def test_a_whole_forward_matches_the_reference_implementation(golden: Path) -> None:
    """Both adapters on one language model, from the recorded input embeddings to the loss.

    The released code leaves an image's first token out of the sum, hence `drops_first_token`.
    """
    recorded = load_file(golden / "5_dpo" / "forward.safetensors")
    sizes = json.loads((golden / "manifest.json").read_text())["config"]
    model = recorded_language_model(golden / "4_checkpoint" / "lavit" / "language_model")
    config = PersonalizeConfig(
        lora_rank=sizes["lora_r"], lora_alpha=sizes["lora_alpha"], lora_dropout=0.0
    )
    backbone = SimpleNamespace(language_model=model.model)
    add_lora(backbone, config)
    freeze_reference(backbone, config)
    load_recorded_adapters(backbone, recorded)
    log_probs = [recorded_log_probs(model, recorded)]
    with reference_model(backbone):
        log_probs.append(recorded_log_probs(model, recorded))
    for adapter, found in zip(("policy", "reference"), log_probs, strict=True):
        for image in ("chosen", "rejected"):
            expected = recorded[f"{adapter}_{image}_logps"]
            # 1e-5 and one unit in the last place: float32 resolves 1.5e-5 beyond -128
            torch.testing.assert_close(getattr(found, f"{image}_B"), expected, atol=1e-5, rtol=2e-7)
    result = compare(*log_probs, PreferenceSettings().loss)
    torch.testing.assert_close(result.loss_B, recorded["losses"], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        result.chosen_reward_B, recorded["chosen_rewards"], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        result.rejected_reward_B, recorded["rejected_rewards"], atol=1e-5, rtol=0
    )


def recorded_language_model(folder: Path) -> LlamaForCausalLM:
    config = LlamaConfig(**json.loads((folder / "config.json").read_text()) | {"dtype": "float32"})
    model = LlamaForCausalLM(config).float().eval()
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    model.load_state_dict({name: weight.float() for name, weight in state.items()})
    return model


def load_recorded_adapters(backbone: SimpleNamespace, recorded: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for ours, theirs in (("default", "policy"), ("reference", "reference")):
            for name, weight in lora_parameters(backbone, ours).items():
                released = f"lora.base_model.model.model.{name}".replace(ours, theirs)
                weight.copy_(recorded[released])


@torch.no_grad()
def recorded_log_probs(model: LlamaForCausalLM, recorded: dict[str, torch.Tensor]) -> PairLogProbs:
    """Return what the model says of the recorded images, the first visual id left out."""
    logits = model(
        inputs_embeds=recorded["inputs_embeds"], attention_mask=recorded["llm_attention_mask"]
    ).logits
    found = []
    for start, image in ((0, "chosen"), (3, "rejected")):
        tokens = recorded[f"{image}_tokens.flat"].split(recorded[f"{image}_tokens.lens"].tolist())
        rows = []
        for row, ids in enumerate(tokens, start=start):
            target = ids[1:]  # the released input lacks the start marker
            predicting = logits[row, -len(target) - 1 : -1]
            rows.append(image_log_prob(predicting[None], target[None], drops_first_token=True))
        found.append(torch.cat(rows))
    return PairLogProbs(*found)
