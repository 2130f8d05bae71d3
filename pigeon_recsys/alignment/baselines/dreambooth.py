"""DreamBooth: an adapter for each user, bound to a rare word, the prior preserved.

In:  one user's liked pictures and their captions.
Out: while a request is answered, a LoRA adapter in the language model.

Source: Ruiz et al., "DreamBooth: Fine Tuning Text-to-Image Diffusion Models for Subject-Driven
Generation", 2022, section 3: prompts with a rare identifier give back the images at hand, and
prompts without it give back what the model itself made before (prior preservation).
Scale: the paper tunes the whole model for about a thousand steps with hundreds of prior images;
here LoRA, as is common since, dozens of steps, and one prior image for each liked one. The
diffusion refiner is not tuned: the language model decides what is drawn, and in which style.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from pigeon_recsys.alignment.baselines.prompted import (
    BaselineRequest,
    Words,
    image_loss,
    no_preference,
    write_images,
)
from pigeon_recsys.alignment.baselines.user_adapter import fresh_adapter
from pigeon_recsys.alignment.baselines.user_fit import FitSettings, fit
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.personalize import PersonalizeConfig
from pigeon_recsys.model.prompt import words_part
from pigeon_recsys.model.sampling import Sampling

# H liked images, T tokens per image, X images to write

IDENTIFIER = " sks"  # rare in the paper's vocabulary and spelled out in the mini backbone's
PRIOR_WEIGHT = 1.0  # the paper's λ
SETTINGS = FitSettings(steps=20, learning_rate=1e-3)
ADAPTER = PersonalizeConfig(lora_dropout=0.0)  # nothing is drawn while it learns


@dataclass(frozen=True)
class DreamBooth:
    """Learns an adapter for the user of each request and takes it out afterwards."""

    backbone: Backbone
    settings: FitSettings = SETTINGS
    prior_weight: float = PRIOR_WEIGHT
    adapter: PersonalizeConfig = ADAPTER

    @contextmanager
    def learned(self, request: BaselineRequest) -> Iterator[tuple[float, ...]]:
        """Carry the user's adapter in the block; yield the loss on the user's own pictures."""
        backbone, target_HT = self.backbone, request.history_HT
        words = Words.of(backbone, request.captions)
        identifier = words_part(backbone, IDENTIFIER, len(target_HT))
        nobody = no_preference(backbone, len(target_HT))
        prior_HT = self._prior(request, words)
        own: list[float] = []

        def loss() -> Tensor:
            loss_own = image_loss(backbone, identifier, words, target_HT).mean()
            own.append(loss_own.item())
            loss_prior = image_loss(backbone, nobody, words, prior_HT).mean()
            return loss_own + self.prior_weight * loss_prior

        with fresh_adapter(backbone, self.adapter, request.seed) as weights:
            fit(weights.values(), loss, self.settings)
            yield tuple(own)

    def write(
        self,
        request: BaselineRequest,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Return visual_XT, one image a generator; without likes the backbone's own."""
        backbone, words = self.backbone, Words.of(self.backbone, [request.text])
        if not len(request.history_HT):
            return write_images(backbone, no_preference(backbone, 1), words, sampling, generators)
        with self.learned(request):
            identifier = words_part(backbone, IDENTIFIER, 1)
            return write_images(backbone, identifier, words, sampling, generators)

    def _prior(self, request: BaselineRequest, words: Words) -> Tensor:
        """Return visual_HT that the backbone draws for the captions when it knows nobody."""
        num_images = len(request.history_HT)
        generators = [
            torch.Generator().manual_seed(request.seed + number) for number in range(num_images)
        ]
        nobody = no_preference(self.backbone, num_images)
        return write_images(self.backbone, nobody, words, Sampling(temperature=1.0), generators)
