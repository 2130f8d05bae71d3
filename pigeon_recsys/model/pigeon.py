"""Pigeon: mask generation, personalization and image generation on top of a backbone.

In:  a prompt batch (history, reference) as visual ids and words.
Out: in training the cross-entropy of the target's tokens (stage 1, masked preference
     reconstruction); at inference preference tokens, and pixels.
Source: Xu et al., "Personalized Image Generation with Large Multimodal Models", WWW 2025,
sections 3.2 to 3.5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.ablation import FULL, Ablation, Inputs
from pigeon_recsys.model.decode import Opening, write_tokens
from pigeon_recsys.model.gumbel_top_k import gumbel_noise
from pigeon_recsys.model.mask import (
    KeepMasks,
    MaskConfig,
    MaskGenerator,
    MaskKind,
    grid_rows,
)
from pigeon_recsys.model.personalize import (
    PersonalizeConfig,
    ReferenceEmbedding,
    add_lora,
    lora_parameters,
)
from pigeon_recsys.model.prompt import (
    Part,
    PromptBatch,
    image_part,
    join,
    marker_part,
    prompt_before_reference,
    prompt_positions,
    written_part,
)
from pigeon_recsys.model.sampling import Sampling

# B rows, H history images, T tokens per image, S tokens of a part, D width, V visual ids,
# R reference-mask ratios of a user, X images of all users (B·R), L all tokens that masks see

HISTORY_LENGTH = 5  # images; checkpoints fix this number


@dataclass(frozen=True)
class PigeonConfig:
    """Everything that fixes the modules' shapes and the prompt's words."""

    mask: MaskConfig = field(default_factory=MaskConfig)
    personalize: PersonalizeConfig = field(default_factory=PersonalizeConfig)
    instruction: Instruction = field(default_factory=Instruction)
    inputs: Inputs = field(default_factory=Inputs)  # what it is trained with and shown later


@dataclass(frozen=True)
class Written:
    """Preference tokens for each reference-mask ratio, and the masks they were written under."""

    visual_BRT: Tensor
    history_keep_BHT: Tensor


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
        self.reference_embedding: ReferenceEmbedding | None = None
        if config.personalize.reference_form == "embedding":
            self.reference_embedding = ReferenceEmbedding(
                spec.feature_dim, spec.dim, config.personalize
            )

    def own_state(self) -> dict[str, Tensor]:
        """Return the weights that are Pigeon's own: both modules and the LoRA adapter."""
        own = {f"backbone.language_model.{name}" for name in lora_parameters(self.backbone)}
        own |= {
            name
            for name, _ in self.named_parameters()
            if name.startswith(("mask_generator.", "reference_embedding."))
        }
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
        logit_BTV = self.target_logits(batch, masks, target_BT)
        return functional.cross_entropy(logit_BTV.flatten(0, 1), target_BT.flatten())

    def target_logits(self, batch: PromptBatch, masks: KeepMasks, target_BT: Tensor) -> Tensor:
        """Return logit_BTV: what predicts each target token from the prompt and those before it."""
        batch = self.config.inputs.shown(batch)
        prompt = join(
            [
                prompt_before_reference(
                    self.backbone, batch, self.config.instruction, masks.history_BHT
                ),
                self.reference_part(batch, masks.reference_BT),
                marker_part(self.backbone, "image_start", len(target_BT)),
                written_part(self.backbone, target_BT[:, :-1]),
            ]
        )
        hidden_BSD = self.backbone.hidden(prompt.embed_BSD, prompt.attend_BS)
        return self.backbone.visual_logits(hidden_BSD[:, -target_BT.shape[1] :])

    def masks(
        self, batch: PromptBatch, reference_ratio_B: Tensor, generator: torch.Generator | None
    ) -> KeepMasks:
        """Return which history and reference tokens are kept."""
        batch = self.config.inputs.shown(batch)
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
        reference_ratio_BR: Tensor,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
        ablation: Ablation = FULL,
    ) -> Written:
        """Write preference tokens for each user of the batch at each of the user's ratios.

        The prompt before `<emb>` is the same for all ratios of a user and runs once; all images
        of all users are then decoded together. Each has a generator of its own, in the order of
        users and then ratios, and does not depend on what is written beside it. Guidance reads
        the prompt without the history as well; the reference stays masked as the history says.
        """
        num_ratios = reference_ratio_BR.shape[1]
        batch = self.config.inputs.shown(ablation.shown(batch))
        kind = ablation.mask or self.config.mask.kind
        draws = kind == "random" or sampling.mask_noise
        history_BHT, reference_XT = self._swept_masks(
            batch, reference_ratio_BR, generators if draws else None, kind
        )
        prompt = prompt_before_reference(self.backbone, batch, self.config.instruction, history_BHT)
        swept = replace(
            batch,
            reference_BT=batch.reference_BT.repeat_interleave(num_ratios, dim=0),
            has_reference_B=batch.has_reference_B.repeat_interleave(num_ratios, dim=0),
        )
        lanes = join(
            [
                self.reference_part(swept, reference_XT),
                marker_part(self.backbone, "image_start", len(reference_XT)),
            ]
        )
        opening = Opening(prompt, prompt_positions(prompt, batch), lanes)
        if sampling.is_guided:
            unled = Inputs(history=False).shown(batch)
            opening = opening.guided(
                prompt_before_reference(self.backbone, unled, self.config.instruction, None)
            )
        visual_BRT = write_tokens(self.backbone, opening, sampling, generators)
        return Written(visual_BRT, history_BHT.round().bool())

    def _swept_masks(
        self,
        batch: PromptBatch,
        ratio_BR: Tensor,
        generators: Sequence[torch.Generator] | None,
        kind: MaskKind,
    ) -> tuple[Tensor, Tensor]:
        """Return history_BHT and the reference's keep_XT for the X = B·R images.

        Relevance does not depend on the ratio and is computed once a user, and so is the noise,
        where generators are given: from that of the user's first image.
        """
        num_ratios = ratio_BR.shape[1]
        num_images, num_tokens = batch.history_BHT.shape[1:]
        rows = grid_rows(
            self.backbone.embed_visual(batch.history_BHT),
            batch.present_BH,
            self.backbone.embed_visual(batch.reference_BT),
        )
        relevance_BL = self.mask_generator.relevance(rows)
        noise_BL = None
        if generators is not None:
            shape = rows.type_BL.shape[1:]
            noise_BL = torch.stack([gumbel_noise(shape, g) for g in generators[::num_ratios]])
            noise_BL = noise_BL.to(relevance_BL.device)
        num_history = num_images * num_tokens
        history_BN = self.mask_generator.keep(
            relevance_BL[:, :num_history],
            rows.type_BL[:, :num_history],
            ratio_BR[:, 0],
            None if noise_BL is None else noise_BL[:, :num_history],
            kind,
        )
        user_X = torch.arange(len(ratio_BR), device=ratio_BR.device).repeat_interleave(num_ratios)
        reference_XT = self.mask_generator.keep(
            relevance_BL[user_X, num_history:],
            rows.type_BL[user_X, num_history:],
            ratio_BR.flatten(),
            None if noise_BL is None else noise_BL[user_X, num_history:],
            kind,
        )
        return history_BN.unflatten(1, (num_images, num_tokens)), reference_XT

    def reference_part(self, batch: PromptBatch, keep_BT: Tensor) -> Part:
        """Return `<emb>`, or the kept tokens where these stand for the reference.

        A row without a reference image does not attend to it.
        """
        if self.reference_embedding is None:
            return image_part(self.backbone, batch.reference_BT, batch.has_reference_B, keep_BT)
        feature_BTF = self.backbone.features(batch.reference_BT, keep_BT)
        embed_BSD = self.reference_embedding(feature_BTF)[:, None]
        return Part(embed_BSD, batch.has_reference_B[:, None])
