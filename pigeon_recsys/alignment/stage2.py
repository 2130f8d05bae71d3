"""Stage 2, pairwise preference alignment.

In:  preference pairs of training users, and a Pigeon trained by stage 1.
Out: a LoRA adapter that prefers the chosen images; everything else stays as stage 1 left it.

The policy's adapter starts as stage 1's, and a frozen copy of it is the reference model, on
the same language model. Each prompt's masks are made once, as at inference, and serve both, and
dropout is off in both, so that policy and reference differ by the adapter alone and start at a
margin of zero.

The mask generator and the reference embedding are frozen too: both models read the prompt that
these make. Were they to move, the reference would see prompts it was never trained on, and what
holds the policy near stage 1 would drift along with it.
Source: Pigeon, section 3.4.
"""

import logging
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from pigeon_recsys.alignment.examples import ItemTokens, reconstruction_batch
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train
from pigeon_recsys.alignment.pairs import PairTable
from pigeon_recsys.alignment.preference_loss import (
    PairLogProbs,
    PreferenceLoss,
    compare,
    image_log_prob,
)
from pigeon_recsys.alignment.sample_sheet import pair_sheet
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS
from pigeon_recsys.model.mask import KeepMasks
from pigeon_recsys.model.personalize import freeze_reference, reference_model
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.model.prompt import PromptBatch

# B pairs, T tokens per image

logger = logging.getLogger(__name__)

Columns = TypeVar("Columns", PromptBatch, KeepMasks)

VALIDATION_PAIRS = 64
VALIDATION_RATIO = 0.5
DRIFT_NATS = 1.0  # an image may become so much less likely, e^-1 times, before a warning says so


@dataclass(frozen=True)
class PreferenceSettings:
    """What stage 2 minimises, and on which pairs."""

    loss: PreferenceLoss = field(default_factory=PreferenceLoss)
    min_margin: float = 0.0  # pairs whose scores are closer are left out
    sft_weight: float = 0.0  # of the chosen image's cross-entropy, which keeps it likely
    drops_first_token: bool = False  # as the released code does; only for comparison with it


class Policy(nn.Module):
    """Pigeon as stage 2 trains it: one adapter learns, and dropout stays off."""

    def __init__(self, pigeon: Pigeon) -> None:
        super().__init__()
        pigeon.requires_grad_(False)
        freeze_reference(pigeon.backbone, pigeon.config.personalize)
        self.pigeon = pigeon
        self.train(False)

    def train(self, mode: bool = True) -> "Policy":
        """Stay in evaluation mode whatever the train loop asks for."""
        super().train(False)
        return self


def train_stage2(
    pigeon: Pigeon,
    items: ItemTokens,
    pairs: PairTable,
    validation: PairTable,
    preference: PreferenceSettings,
    settings: LoopSettings,
    run: Path,
    batch_size: int,
) -> TrainReport:
    """Train Pigeon's adapter in place, from stage 1's weights."""
    telling = _telling(pairs, preference.min_margin)
    held_out = validation.telling(preference.min_margin)
    policy = Policy(pigeon)
    device = items.visual_NT.device

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        rows = torch.randint(len(telling), (batch_size,), generator=generator)
        choice_B = torch.randint(len(REFERENCE_RATIOS), (batch_size,), generator=generator)
        ratio_B = torch.tensor(REFERENCE_RATIOS)[choice_B].to(device)
        return pair_losses(
            pigeon, items, telling.rows(rows.numpy()), ratio_B, preference, generator
        )

    def validate() -> dict[str, float]:
        some = held_out.rows(np.arange(min(VALIDATION_PAIRS, len(held_out))))
        ratio_B = torch.full((len(some),), VALIDATION_RATIO, device=device)
        generator = torch.Generator().manual_seed(settings.seed)
        losses = pair_losses(pigeon, items, some, ratio_B, preference, generator)
        return {f"validation_{name}": value.item() for name, value in losses.items()}

    report = train(
        "stage2",
        policy,
        step_loss,
        settings,
        run,
        validate if len(held_out) else None,
        (lambda: pair_sheet(pigeon, items, held_out)) if len(held_out) else None,
    )
    _warn_of_drift(report, preference)
    return report


def pair_losses(
    pigeon: Pigeon,
    items: ItemTokens,
    pairs: PairTable,
    ratio_B: Tensor,
    preference: PreferenceSettings,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    """Return `loss` and what shows how alignment goes, as means over the pairs."""
    batch, _ = reconstruction_batch(items, pairs.window_PW)
    is_random = pigeon.config.mask.kind == "random"  # only that ablation draws at inference
    masks = pigeon.masks(batch, ratio_B, generator if is_random else None)
    dropped = preference.drops_first_token
    policy = pair_log_probs(pigeon, batch, masks, pairs, drops_first_token=dropped)
    with reference_model(pigeon.backbone):
        reference = pair_log_probs(pigeon, batch, masks, pairs, drops_first_token=dropped)
    result = compare(policy, reference, preference.loss)
    num_counted = pairs.chosen_PT.shape[1] - int(dropped)
    sft = -policy.chosen_B.mean() / num_counted
    preference_loss = result.loss_B.mean()
    return {
        "loss": preference_loss + preference.sft_weight * sft,
        "preference_loss": preference_loss.detach(),
        "sft_loss": sft.detach(),
        "chosen_reward": result.chosen_reward_B.mean(),
        "rejected_reward": result.rejected_reward_B.mean(),
        "reward_margin": result.reward_margin_B.mean(),
        "reward_accuracy": (result.reward_margin_B > 0).float().mean(),
        "chosen_log_prob": policy.chosen_B.detach().mean(),
        "rejected_log_prob": policy.rejected_B.detach().mean(),
    }


def pair_log_probs(
    pigeon: Pigeon,
    batch: PromptBatch,
    masks: KeepMasks,
    pairs: PairTable,
    *,
    drops_first_token: bool = False,
) -> PairLogProbs:
    """Return the log-probabilities of both images after the same masked prompt."""
    target_BT = torch.cat([pairs.chosen_PT, pairs.rejected_PT]).to(batch.reference_BT.device)
    logit_BTV = pigeon.target_logits(_twice(batch), _twice(masks), target_BT)
    log_prob_B = image_log_prob(logit_BTV, target_BT, drops_first_token=drops_first_token)
    return PairLogProbs(*log_prob_B.chunk(2))


def _warn_of_drift(report: TrainReport, preference: PreferenceSettings) -> None:
    """Say so where held-out chosen images became less likely: the policy draws neither of a pair.

    The preference loss sees the difference of both alone, so its own numbers look well then.
    """
    reward = report.metrics.get("validation_chosen_reward", 0.0)
    gained_nats = reward / preference.loss.beta
    if gained_nats < -DRIFT_NATS:
        logger.warning(
            "stage2: held-out chosen images are %.1f nats less likely than after stage 1: others "
            "are drawn in their place. Raise stage2.sft_weight, now %g, or train fewer steps.",
            -gained_nats,
            preference.sft_weight,
        )


def _twice(columns: Columns) -> Columns:
    """Return the rows for the chosen images, and again for the rejected ones."""
    tensors = (getattr(columns, column.name) for column in fields(columns))
    return type(columns)(*(torch.cat([tensor, tensor]) for tensor in tensors))


def _telling(pairs: PairTable, min_margin: float) -> PairTable:
    telling = pairs.telling(min_margin)
    if not len(telling):
        largest = f"{pairs.margin_P.max():.4g}" if len(pairs) else "none"
        raise SettingsError(
            f"stage2.min_margin {min_margin:g} leaves none of {len(pairs)} pairs to learn from "
            f"(largest margin: {largest}). Lower it, or make more pairs."
        )
    return telling
