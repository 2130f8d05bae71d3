"""Ablations: what is left out has no influence, and nothing else is left out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.model.ablation import FULL, Ablation, Inputs
from pigeon_recsys.model.checkpoint import load_pigeon, save_pigeon
from pigeon_recsys.model.mask import MaskConfig, MaskKind
from pigeon_recsys.model.pigeon import Pigeon, PigeonConfig, Written
from pigeon_recsys.model.prompt import PromptBatch
from pigeon_recsys.model.sampling import Sampling

RATIOS = torch.tensor([[0.0, 0.5]])
PARTS = ("history", "reference_image", "text")


def first_row(prompts: PromptBatch) -> PromptBatch:
    return PromptBatch(*(getattr(prompts, name)[:1] for name in prompts.__dataclass_fields__))


def with_other(prompts: PromptBatch, part: str) -> PromptBatch:
    """Return the prompts with other history pictures, another reference picture or other words."""
    if part == "history":
        return replace(prompts, history_BHT=prompts.history_BHT.flip(1))
    if part == "reference_image":
        return replace(prompts, reference_BT=prompts.reference_BT.flip(1))
    return replace(prompts, text_BL=prompts.text_BL.flip(1) + 1)


def write(pigeon: Pigeon, prompts: PromptBatch, ablation: Ablation = FULL) -> Written:
    generators = [torch.Generator().manual_seed(seed) for seed in range(RATIOS.shape[1])]
    return pigeon.eval().write(first_row(prompts), RATIOS, Sampling(1.0), generators, ablation)


def loss_of(pigeon: Pigeon, prompts: PromptBatch, target: torch.Tensor) -> torch.Tensor:
    ratio = torch.full((len(target),), 0.5)
    return pigeon.eval().reconstruction_loss(prompts, target, ratio, None)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_out_has_no_influence_on_what_is_written(
    pigeon: Pigeon, prompts: PromptBatch, part: str
) -> None:
    without = Ablation(**{part: False})
    own = write(pigeon, prompts, without)
    other = write(pigeon, with_other(prompts, part), without)
    assert torch.equal(own.visual_BRT, other.visual_BRT)
    assert torch.equal(own.history_keep_BHT, other.history_keep_BHT)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_counts_where_it_is_not_left_out(
    pigeon: Pigeon, prompts: PromptBatch, part: str
) -> None:
    others = Ablation(**{name: name == part for name in PARTS})
    row = first_row(prompts)
    own, other = (
        loss_of(pigeon, others.shown(batch), row.history_BHT[:, 0])
        for batch in (row, with_other(row, part))
    )
    assert own != other


@pytest.mark.parametrize("part", PARTS)
def test_a_model_can_be_trained_without_a_part(
    pigeon: Pigeon, prompts: PromptBatch, part: str
) -> None:
    pigeon.config = replace(pigeon.config, inputs=Inputs(**{part: False}))
    target = prompts.reference_BT.flip(0)
    own, other = (loss_of(pigeon, batch, target) for batch in (prompts, with_other(prompts, part)))
    assert own == other


def test_a_model_trained_without_a_part_is_shown_it_no_more(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    ablated = write(pigeon, prompts, Ablation(history=False)).visual_BRT
    pigeon.config = replace(pigeon.config, inputs=Inputs(history=False))
    assert torch.equal(write(pigeon, prompts).visual_BRT, ablated)


def test_the_trained_mask_is_what_happens_without_an_ablation(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    own, named = write(pigeon, prompts), write(pigeon, prompts, Ablation(mask="trained"))
    assert torch.equal(own.visual_BRT, named.visual_BRT)


def test_a_random_mask_keeps_other_tokens_but_as_many(pigeon: Pigeon, prompts: PromptBatch) -> None:
    trained = write(pigeon, prompts).history_keep_BHT
    random = write(pigeon, prompts, Ablation(mask="random")).history_keep_BHT
    assert trained.sum() == random.sum() < trained.numel()
    assert not torch.equal(trained, random)


def test_masks_at_inference_are_drawn_only_where_noise_is_asked_for(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    def keep(seed: int, *, noise: bool) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(seed + place) for place in range(2)]
        sampling = Sampling(1.0, mask_noise=noise)
        return (
            pigeon.eval().write(first_row(prompts), RATIOS, sampling, generators).history_keep_BHT
        )

    plain, other_seed = keep(0, noise=False), keep(5, noise=False)
    assert torch.equal(plain, other_seed)
    noisy = keep(0, noise=True)
    assert torch.equal(noisy, keep(0, noise=True))
    assert not torch.equal(noisy, keep(5, noise=True))
    assert not torch.equal(noisy, plain)
    assert noisy.sum() == plain.sum()


def test_without_a_mask_all_history_is_kept_and_the_ratio_has_no_effect(
    pigeon: Pigeon, prompts: PromptBatch
) -> None:
    none = Ablation(mask="none")
    assert write(pigeon, prompts, none).history_keep_BHT.all()
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    written = pigeon.write(first_row(prompts), RATIOS, Sampling(1.0), generators, none)
    assert torch.equal(written.visual_BRT[0, 0], written.visual_BRT[0, 1])


@pytest.mark.parametrize("kind", ["trained", "random", "none"])
def test_every_kind_of_mask_trains(
    backbone: MiniBackbone, prompts: PromptBatch, kind: MaskKind
) -> None:
    """Gradients reach the reference embedding in each; the mask generator only if it decides."""
    model = Pigeon(backbone, PigeonConfig(mask=MaskConfig(kind=kind))).train()
    generator = torch.Generator().manual_seed(0)
    target = prompts.reference_BT.flip(0)
    model.reconstruction_loss(prompts, target, torch.full((3,), 0.5), generator).backward()
    assert model.reference_embedding.encoder.weight.grad.abs().sum() > 0
    gradient = model.mask_generator.dense.weight.grad
    assert (gradient is not None and bool(gradient.abs().sum() > 0)) == (kind == "trained")


def test_a_checkpoint_remembers_its_mask_and_inputs(backbone: MiniBackbone, tmp_path: Path) -> None:
    backbone.save(tmp_path / "backbone")
    config = PigeonConfig(mask=MaskConfig(kind="random"), inputs=Inputs(text=False))
    save_pigeon(tmp_path, Pigeon(backbone, config), {})
    assert load_pigeon(tmp_path).config == config


def test_a_checkpoint_from_before_the_switches_has_all_inputs_and_a_trained_mask(
    backbone: MiniBackbone, tmp_path: Path
) -> None:
    backbone.save(tmp_path / "backbone")
    save_pigeon(tmp_path, Pigeon(backbone, PigeonConfig()), {})
    settings = json.loads((tmp_path / "pigeon.json").read_text())
    del settings["config"]["inputs"], settings["config"]["mask"]["kind"]
    del settings["config"]["mask"]["compatibility"]
    (tmp_path / "pigeon.json").write_text(json.dumps(settings))
    assert load_pigeon(tmp_path).config == PigeonConfig()
