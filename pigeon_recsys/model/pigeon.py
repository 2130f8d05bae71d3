"""Pigeon: mask generation, personalization and image generation on top of a backbone.

In:  a prompt batch (history, reference) as visual ids and words.
Out: in training the cross-entropy of the target's tokens (stage 1, masked preference
     reconstruction); at inference preference tokens, and pixels.
Source: Xu et al., "Personalized Image Generation with Large Multimodal Models", WWW 2025,
sections 3.2 to 3.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.decode import Sampling, write_tokens
from pigeon_recsys.model.mask import KeepMasks, MaskConfig, MaskGenerator
from pigeon_recsys.model.personalize import PersonalizeConfig, ReferenceEmbedding, add_lora
from pigeon_recsys.model.prompt import (
    Part,
    PromptBatch,
    join,
    marker_part,
    prompt_before_reference,
)

# B rows, H history images, T tokens per image, S tokens of a part, D width, V visual ids,
# R reference-mask ratios

HISTORY_LENGTH = 5  # images; checkpoints fix this number


@dataclass(frozen=True)
class PigeonConfig:
    """Everything that fixes the modules' shapes and the prompt's words."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    personalize: PersonalizeConfig = field(default_factory=PersonalizeConfig)
    instruction: Instruction = field(default_factory=Instruction)


@dataclass(frozen=True)
class Written:
    """Preference tokens for each reference-mask ratio, and the masks they were written under."""

    visual_RT: Tensor
    history_keep_HT: Tensor


class Pigeon(nn.Module):
    """The three modules; the backbone's own weights are frozen, its adapters are not."""

    def __init__(self, backbone: Backbone, config: PigeonConfig) -> None:
        super().__init__()
        assert isinstance(backbone, nn.Module)
        backbone.requires_grad_(False)
        add_lora(backbone, config.personalize)
        self.config = config
        self.backbone = backbone
        spec = backbone.spec
        self.mask_generator = MaskGenerator(spec.dim, config.mask)
        self.reference_embedding = ReferenceEmbedding(
            spec.feature_dim, spec.dim, config.personalize
        )

    def own_state(self) -> dict[str, Tensor]:
        """Return the weights that are Pigeon's own: both modules and the LoRA adapters."""
        own = {name for name, p in self.named_parameters() if p.requires_grad}
        return {name: value for name, value in self.state_dict().items() if name in own}

    def reconstruction_loss(
        self,
        batch: PromptBatch,
        target_BT: Tensor,
        reference_ratio_B: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return the mean cross-entropy of the target's visual tokens (equation of stage 1)."""
        masks = self.masks(batch, reference_ratio_B, generator)
        prompt = join(
            [
                prompt_before_reference(
                    self.backbone, batch, self.config.instruction, masks.history_BHT
                ),
                self._reference_part(batch, masks.reference_BT),
                marker_part(self.backbone, "image_start", len(target_BT)),
                self._target_inputs(target_BT),
            ]
        )
        hidden_BSD = self.backbone.hidden(prompt.embed_BSD, prompt.attend_BS)
        logit_BTV = self.backbone.visual_logits(hidden_BSD[:, -target_BT.shape[1] :])
        return functional.cross_entropy(logit_BTV.flatten(0, 1), target_BT.flatten())

    def masks(
        self, batch: PromptBatch, reference_ratio_B: Tensor, generator: torch.Generator | None
    ) -> KeepMasks:
        """Return which history and reference tokens are kept."""
        masks: KeepMasks = self.mask_generator(
            self.backbone.embed_visual(batch.history_BHT),
            batch.present_BH,
            self.backbone.embed_visual(batch.reference_BT),
            reference_ratio_B,
            generator,
        )
        return masks

    @torch.no_grad()
    def write(
        self,
        batch: PromptBatch,
        reference_ratios: Sequence[float],
        sampling: Sampling,
        generator: torch.Generator,
    ) -> Written:
        """Write one user's preference tokens at every reference-mask ratio.

        `batch` holds one row. The prompt before `<emb>` is the same for all ratios and runs
        once; all ratios are then decoded together.
        """
        ratio_R = torch.tensor(reference_ratios)
        swept = _repeat(batch, len(reference_ratios))
        masks = self.masks(swept, ratio_R, generator=None)
        prefix = prompt_before_reference(
            self.backbone, batch, self.config.instruction, masks.history_BHT[:1]
        )
        suffix = join(
            [
                self._reference_part(swept, masks.reference_BT),
                marker_part(self.backbone, "image_start", len(reference_ratios)),
            ]
        )
        visual_RT = write_tokens(self.backbone, prefix, suffix, sampling, generator)
        return Written(visual_RT, masks.history_BHT[0].round().bool())

    def _reference_part(self, batch: PromptBatch, keep_BT: Tensor) -> Part:
        feature_BTF = self.backbone.features(batch.reference_BT, keep_BT)
        embed_BSD = self.reference_embedding(feature_BTF)[:, None]
        return Part(embed_BSD, batch.has_reference_B[:, None])

    def _target_inputs(self, target_BT: Tensor) -> Part:
        """Return the target shifted by one: each token is predicted from those before it."""
        embed_BSD = self.backbone.embed_visual(target_BT[:, :-1])
        attend_BS = torch.ones_like(target_BT[:, :-1], dtype=torch.bool)
        return Part(embed_BSD, attend_BS)


def _repeat(batch: PromptBatch, times: int) -> PromptBatch:
    return PromptBatch(
        history_BHT=batch.history_BHT.expand(times, -1, -1),
        present_BH=batch.present_BH.expand(times, -1),
        text_BL=batch.text_BL.expand(times, -1),
        has_text_BL=batch.has_text_BL.expand(times, -1),
        reference_BT=batch.reference_BT.expand(times, -1),
        has_reference_B=batch.has_reference_B.expand(times),
    )
