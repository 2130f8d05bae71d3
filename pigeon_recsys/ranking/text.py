"""Turn short texts into vectors without a trained model: hashed words and letter groups.

In:  titles.
Out: unit vectors, of which two are alike as far as the texts share words or parts of words.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", arXiv 0902.2206. It
needs no download, no vocabulary and no language, and the ranker learns its own projection of it.
A team with a sentence encoder passes that to `train_ranker`, as another `TextEmbedder`.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.records import Vectors

WORD = re.compile(r"\w+")
GROUP = 3  # letters; word ends count as letters, so that "cat" and "cats" share " ca" and "cat"
MAX_LETTERS = 2_000  # of one text; titles are shorter, and a hostile text costs no more
CACHED_WORDS = 1 << 16


class HashedText:
    """A `TextEmbedder` that hashes words and letter groups into `dim` signed counts."""

    def __init__(self, dim: int) -> None:
        if dim < 1:
            raise SettingsError(f"the width of hashed texts must be at least 1, got {dim}")
        self._dim = dim

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self._dim

    @property
    def version(self) -> str:
        """The name of this hashing."""
        return f"hashed words and letter groups 1, width {self._dim}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors (len(texts), dim); the zero vector for a text without words."""
        counts_ND = np.array([self._counts(text) for text in texts], np.float32)
        counts_ND = counts_ND.reshape(len(texts), self._dim)
        length_N1 = np.linalg.norm(counts_ND, axis=1, keepdims=True)
        unit_ND: Vectors = counts_ND / np.maximum(length_N1, np.float32(1))
        return unit_ND

    def _counts(self, text: str) -> list[int]:
        counts = [0] * self._dim
        for word in WORD.findall(text[:MAX_LETTERS].casefold()):
            for number in _hashes(word):
                counts[(number >> 1) % self._dim] += 1 if number & 1 else -1
        return counts


@lru_cache(maxsize=CACHED_WORDS)
def _hashes(word: str) -> tuple[int, ...]:
    """Return the hashes of a word's parts; the lowest bit is a part's sign."""
    return tuple(
        int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
        for part in _parts(word)
    )


def _parts(word: str) -> Iterator[str]:
    padded = f" {word} "
    yield padded
    if len(word) > 1:  # the one group of a single letter is the word itself
        yield from (padded[at : at + GROUP] for at in range(len(padded) - GROUP + 1))
