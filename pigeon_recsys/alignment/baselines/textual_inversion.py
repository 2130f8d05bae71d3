"""Textual Inversion: a word for each user's taste, learned from the liked pictures.

In:  one user's liked pictures and their captions.
Out: embeddings that stand in the prompt like words; nothing else is learned.

Source: Gal et al., "An Image is Worth One Word", 2022, section 3: with the generator frozen, the
embedding of a new word is optimised so that prompts with it give back the images at hand.
Scale: the paper learns one vector for thousands of steps from neutral phrases; here a user has a
few vectors, since the mini model's are narrow, and dozens of steps, since a table has hundreds
of users. Each picture is given back after its own caption, so that the word need not hold what
the picture shows, only how.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pigeon_recsys.alignment.baselines.prompted import (
    INSTRUCTION,
    BaselineRequest,
    Words,
    embedding_size,
    image_loss,
    no_preference,
    write_images,
)
from pigeon_recsys.alignment.baselines.user_fit import FitSettings, fit
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.prompt import Part, words_part
from pigeon_recsys.model.sampling import Sampling

# B rows, P vectors of the word, D width, H liked images

NUM_VECTORS = 4
START_NOISE = 0.1  # of an embedding's size; tells the vectors of a word apart
SETTINGS = FitSettings(steps=40, learning_rate=0.01)


@dataclass(frozen=True)
class LearnedWord:
    """One user's word, and the loss on the user's pictures before each step."""

    word_PD: Tensor
    losses: tuple[float, ...]

    def part(self, num_rows: int) -> Part:
        """Return the word for every row of a prompt."""
        embed_BPD = self.word_PD.expand(num_rows, -1, -1)
        return Part(embed_BPD, torch.ones_like(embed_BPD[..., 0], dtype=torch.bool))


@dataclass(frozen=True)
class TextualInversion:
    """Learns a word for the user of each request; without likes there is none to learn."""

    backbone: Backbone
    settings: FitSettings = SETTINGS

    def learn(self, request: BaselineRequest) -> LearnedWord:
        """Learn the user's word."""
        words = Words.of(self.backbone, request.captions)
        word = LearnedWord(self._start(request.seed).requires_grad_(True), ())

        def loss() -> Tensor:
            preference = word.part(len(request.history_HT))
            return image_loss(self.backbone, preference, words, request.history_HT).mean()

        losses = fit([word.word_PD], loss, self.settings)
        return LearnedWord(word.word_PD.detach(), losses)

    def write(
        self,
        request: BaselineRequest,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Return visual_XT, one image a generator."""
        has_likes = len(request.history_HT) > 0
        preference = self.learn(request).part(1) if has_likes else no_preference(self.backbone, 1)
        words = Words.of(self.backbone, [request.text])
        return write_images(self.backbone, preference, words, sampling, generators)

    def _start(self, seed: int) -> Tensor:
        """Return word_PD near the mean of what introduces a picture, as a first coarse word."""
        words = words_part(self.backbone, INSTRUCTION.before_reference, 1)
        mean_D = words.embed_BSD[0].mean(dim=0)
        noise_PD = torch.randn(
            NUM_VECTORS, len(mean_D), generator=torch.Generator().manual_seed(seed)
        )
        size = START_NOISE * embedding_size(self.backbone)
        return (mean_D + size * noise_PD.to(mean_D.device)).detach()
