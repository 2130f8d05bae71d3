"""What Pigeon needs of a large multimodal model: the backbone protocol.

A backbone is three things that share ids: a visual tokenizer (pixels to ids), a language
model that reads and writes text and visual ids, and a detokenizer (visual ids to pixels).
Visual ids are counted from 0 here; where the language model's vocabulary places them is the
backbone's own affair, behind `embed_visual` and `visual_logits`.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import Cache

# B rows, T tokens, C colours, H height, W width, D width of the language model,
# F width of the detokenizer's features, V visual ids, N tokens with those in the cache


@dataclass(frozen=True)
class BackboneSpec:
    """Sizes that the modules on top are built from."""

    name: str
    image_height: int  # pixels
    image_width: int  # pixels
    rows: int  # token rows of one image
    columns: int  # token columns of one image
    num_visual: int  # visual ids
    dim: int  # width of the language model
    num_layers: int  # of the language model
    feature_dim: int  # width of the detokenizer's features

    @property
    def tokens_per_image(self) -> int:
        """Tokens of one image."""
        return self.rows * self.columns


class Backbone(Protocol):
    """A multimodal model that Pigeon can sit on."""

    spec: BackboneSpec
    language_model: nn.Module  # a decoder in the manner of transformers' LlamaModel

    def tokenize_images(self, pixels_BCHW: Tensor) -> Tensor:
        """Return visual_BT for pixels in [-1, 1]."""

    def tokenize_text(self, text: str) -> list[int]:
        """Return text ids, without special tokens; never fails on unknown characters."""

    def embed_text(self, text_BT: Tensor) -> Tensor:
        """Return embedding_BTD of text ids."""

    def embed_visual(self, visual_BT: Tensor, first_position: int = 0) -> Tensor:
        """Return embedding_BTD; `first_position` is the first token's place in its image."""

    def marker(self, name: str) -> Tensor:
        """Return embedding_1D of `document_start`, `image_start` or `image_end`."""

    def hidden(
        self,
        embeds_BTD: Tensor,
        attend: Tensor | None,
        cache: Cache | None = None,
        position_BT: Tensor | None = None,
    ) -> Tensor:
        """Run the language model and return hidden_BTD; a cache is extended in place.

        `attend` is attend_BN, which tokens, cached ones first, may be seen by those after them,
        or attend_BTN, exactly which ones each token sees. Without positions, tokens are counted
        on from the cache.
        """

    def visual_logits(self, hidden_BTD: Tensor) -> Tensor:
        """Return logit_BTV over visual ids alone."""

    def frozen(self) -> AbstractContextManager[None]:
        """Inside the block weights do not change: what derives from them is computed once."""

    def features(self, visual_BT: Tensor, keep_BT: Tensor | None = None) -> Tensor:
        """Return feature_BTF of the detokenizer's feature decoder, hidden tokens silenced."""

    def detokenize(
        self, visual_BT: Tensor, steps: int, generator: torch.Generator | list[torch.Generator]
    ) -> Tensor:
        """Return pixels_BCHW in [-1, 1] from `steps` diffusion steps; a list is one an image."""

    def save(self, folder: Path) -> None:
        """Write weights as safetensors and settings as JSON."""
