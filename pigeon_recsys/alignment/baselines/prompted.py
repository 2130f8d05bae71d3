"""What all baselines share: the request, and the prompt around what stands for a preference.

In:  a user's liked pictures with their captions, and the words of what is asked for.
Out: the loss of an image after such a prompt, or images written after it.

    document_start | preference | words, text | image_start -> the image's tokens

The methods differ in what they put where Pigeon puts the masked history, and in what they learn.
None of them sees the reference picture: what is wanted reaches them in words, as in their papers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.decode import Opening, write_tokens
from pigeon_recsys.model.prompt import (
    Part,
    join,
    marker_part,
    pad_texts,
    words_part,
    written_part,
)
from pigeon_recsys.model.sampling import Sampling

# B rows, H liked images, T tokens per image, L text tokens, S tokens of a part, D width,
# X images of all rows

INSTRUCTION = Instruction()  # the words that backbones are trained with


@dataclass(frozen=True)
class Liked:
    """What users liked, oldest first; empty places come before the oldest."""

    visual_BHT: Tensor  # visual ids; anything where not present
    present_BH: Tensor
    captions: tuple[tuple[str, ...], ...]  # a row each, of the pictures that are present

    @property
    def any_B(self) -> Tensor:
        """Whether a row has any picture at all."""
        return self.present_BH.any(dim=1)


@dataclass(frozen=True)
class Words:
    """Texts as ids, padded on the left."""

    text_BL: Tensor
    has_text_BL: Tensor

    @classmethod
    def of(cls, backbone: Backbone, texts: Sequence[str]) -> "Words":
        """Tokenize texts; an empty one has no token."""
        ids = [backbone.tokenize_text(text) if text else [] for text in texts]
        text_BL, has_text_BL = pad_texts(ids)
        device = backbone.marker("document_start").device
        return cls(text_BL.to(device), has_text_BL.to(device))

    def part(self, backbone: Backbone) -> Part:
        """Return the texts as a part of a prompt."""
        return Part(backbone.embed_text(self.text_BL), self.has_text_BL)


@dataclass(frozen=True)
class BaselineRequest:
    """One user's request as a baseline sees it."""

    history_HT: Tensor  # visual ids of the liked pictures, oldest first; there may be none
    captions: tuple[str, ...]  # of these pictures
    text: str  # what is asked for
    seed: int  # of all that is learned for this user

    @property
    def liked(self) -> Liked:
        """The history as a batch of one row; an empty one has one empty place."""
        num_images, num_tokens = self.history_HT.shape
        num_places = max(1, num_images)
        visual_HT = self.history_HT.new_zeros(num_places, num_tokens)
        visual_HT[:num_images] = self.history_HT
        present_H = torch.arange(num_places, device=visual_HT.device) < num_images
        return Liked(visual_HT[None], present_H[None], (self.captions,))


class Baseline(Protocol):
    """A way to answer a request with images."""

    def write(
        self,
        request: BaselineRequest,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Return visual_XT, one image a generator; the same request and seeds, the same ids."""


Preference = Callable[[Backbone, Liked], Part]
"""Turns liked pictures into the part of the prompt that stands for the preference."""


@dataclass(frozen=True)
class Prompted:
    """A baseline that learns nothing from the user at hand: it only reads the history."""

    backbone: Backbone
    preference: Preference

    @torch.no_grad()
    def write(
        self,
        request: BaselineRequest,
        sampling: Sampling,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Return visual_XT, one image a generator."""
        preference = self.preference(self.backbone, request.liked)
        words = Words.of(self.backbone, [request.text])
        return write_images(self.backbone, preference, words, sampling, generators)


def no_preference(backbone: Backbone, num_rows: int) -> Part:
    """Return a part without tokens."""
    marker_1D = backbone.marker("document_start")
    embed_BSD = marker_1D.new_zeros(num_rows, 0, marker_1D.shape[-1])
    return Part(embed_BSD, torch.ones(num_rows, 0, dtype=torch.bool, device=marker_1D.device))


def positions(attend_BS: Tensor) -> Tensor:
    """Return position_BS that count attended tokens alone: padding moves nothing."""
    return (attend_BS.long().cumsum(dim=1) - 1).clamp(min=0)


def embedding_size(backbone: Backbone) -> float:
    """Return the root mean square of an embedding, which learned ones should start at."""
    return backbone.marker("image_start").detach().float().square().mean().sqrt().item()


def image_loss(backbone: Backbone, preference: Part, words: Words, target_BT: Tensor) -> Tensor:
    """Return loss_B, the mean cross-entropy of each image's tokens after its prompt."""
    sequence = join(
        [
            _opening(backbone, preference, words),
            marker_part(backbone, "image_start", len(target_BT)),
            written_part(backbone, target_BT[:, :-1]),
        ]
    )
    hidden_BSD = backbone.hidden(
        sequence.embed_BSD, sequence.attend_BS, position_BT=positions(sequence.attend_BS)
    )
    logit_BTV = backbone.visual_logits(hidden_BSD[:, -target_BT.shape[1] :])
    loss_BT = functional.cross_entropy(logit_BTV.transpose(1, 2), target_BT, reduction="none")
    return loss_BT.mean(dim=1)


@torch.no_grad()
def write_images(
    backbone: Backbone,
    preference: Part,
    words: Words,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Return visual_XT, as many images a row as there are generators for it, rows in order."""
    prompt = _opening(backbone, preference, words)
    lanes = marker_part(backbone, "image_start", len(generators))
    opening = Opening(prompt, positions(prompt.attend_BS), lanes)
    if sampling.is_guided:
        unseen = Part(preference.embed_BSD, torch.zeros_like(preference.attend_BS))
        opening = opening.guided(_opening(backbone, unseen, words))
    return write_tokens(backbone, opening, sampling, generators).flatten(0, 1)


def _opening(backbone: Backbone, preference: Part, words: Words) -> Part:
    num_rows = len(words.text_BL)
    return join(
        [
            marker_part(backbone, "document_start", num_rows),
            preference,
            words_part(backbone, INSTRUCTION.before_reference, num_rows),
            words.part(backbone),
        ]
    )
