"""The text side of the content contrast: an item's text as one vector.

In:  a text.
Out: a unit vector (D,) to compare with the content half of an image embedding.

A bag of hashed words and character trigrams, so that no vocabulary has to be learned, stored
or matched, and a misspelt word still shares most of its parts.
"""

import re
import zlib
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn import functional

# B texts, D width of the content half

NUM_BUCKETS = 8192  # a power of two; a few thousand distinct parts collide seldom
TRIGRAM = 3  # characters
INITIAL_SPREAD = 0.1  # of the bucket vectors; the mean of ten parts then starts well below 1


def text_buckets(text: str) -> list[int]:
    """Return the hash bucket of every word and character trigram; one for an empty text."""
    words = re.findall(r"\w+", text.casefold()) or [""]
    parts = list(words)
    for word in words:
        padded = f"<{word}>"
        parts += [padded[i : i + TRIGRAM] for i in range(len(padded) - TRIGRAM + 1)]
    return [zlib.crc32(part.encode()) % NUM_BUCKETS for part in parts]


class CaptionTower(nn.Module):
    """Texts to unit vectors."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.buckets = nn.EmbeddingBag(NUM_BUCKETS, dim, mode="mean")
        nn.init.normal_(self.buckets.weight, std=INITIAL_SPREAD)
        self.mix = nn.Linear(dim, dim)

    def forward(self, buckets: Sequence[Sequence[int]]) -> Tensor:
        """Return unit vectors (B, D) of texts given by their buckets."""
        starts = [0, *accumulate(len(text) for text in buckets)][:-1]
        flat = torch.tensor([bucket for text in buckets for bucket in text])
        mean_BD = self.buckets(flat, torch.tensor(starts))
        return functional.normalize(self.mix(mean_BD), dim=1)
