"""Which words stand out in what one user likes.

In:  the captions of a whole catalog, once; the captions of a user's liked items.
Out: a few words, the most telling first.

A word counts for more the more of the user's captions hold it and the fewer of the catalog's do
(share of captions times inverse document frequency).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

NUM_KEYWORDS = 4
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Keywords:
    """How many captions of a catalog hold each word."""

    num_captions: int
    frequency: Mapping[str, int]

    @classmethod
    def of(cls, captions: Iterable[str]) -> "Keywords":
        """Count the words of a catalog."""
        found = [_words(caption) for caption in captions]
        return cls(len(found), Counter(word for words in found for word in words))

    def pick(self, captions: Sequence[str], count: int = NUM_KEYWORDS) -> tuple[str, ...]:
        """Return up to `count` words of these captions, the most telling first; ties by word."""
        held = Counter(word for caption in captions for word in _words(caption))
        weight = {word: held[word] * self._rarity(word) for word in held}
        return tuple(sorted(weight, key=lambda word: (-weight[word], word))[:count])

    def _rarity(self, word: str) -> float:
        return math.log((1 + self.num_captions) / (1 + self.frequency.get(word, 0)))


def _words(caption: str) -> set[str]:
    return set(WORD.findall(caption.lower()))
