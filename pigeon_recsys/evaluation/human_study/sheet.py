"""What one participant is shown: which pairs, in which order, with which picture on the left.

In:  a study and a participant's id.
Out: the steps, one a pair and question.

The page draws the same in the browser (`drawSheet` in `page.js`); a test runs both. Since a sheet
follows from the study and the participant's id, reading answers back finds any that do not
belong to it. Both questions of a pair follow each other, with the same sides.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from pigeon_recsys.evaluation.human_study.study import Check, Pair, Study

PARTICIPANT = re.compile(r"[A-Za-z0-9_.\-]{1,64}")  # also a pattern in the page

# FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv, and mulberry32: 32-bit arithmetic, short in
# Python and in JavaScript, and far better than shuffling needs.
FNV_OFFSET, FNV_PRIME = 0x811C9DC5, 0x01000193
MULBERRY_STEP = 0x6D2B79F5
BITS = 0xFFFFFFFF

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """One question about one pair, as it was shown; `left` and `right` are picture codes."""

    shown: Pair | Check
    question: str
    left: str
    right: str


def draw_sheet(study: Study, participant: str) -> list[Step]:
    """Return a participant's steps in the order they are shown."""
    draws = _mulberry32(_fnv1a(f"{study.study_id}/{participant}"))
    pool = _shuffled(sorted(study.pairs, key=lambda pair: pair.pair_id), draws)
    checks = sorted(study.checks, key=lambda check: check.pair_id)
    chosen: list[Pair | Check] = [*pool[: study.per_participant], *checks]
    steps = []
    for shown in _shuffled(chosen, draws):
        left, right = sorted(shown.pictures)
        if next(draws) & 1:
            left, right = right, left
        steps += [Step(shown, question, left, right) for question in shown.questions]
    return steps


def _fnv1a(text: str) -> int:
    """Return the 32-bit FNV-1a hash of an ASCII text."""
    value = FNV_OFFSET
    for byte in text.encode("ascii"):
        value = ((value ^ byte) * FNV_PRIME) & BITS
    return value


def _mulberry32(seed: int) -> Iterator[int]:
    """Yield 32-bit numbers."""
    state = seed
    while True:
        state = (state + MULBERRY_STEP) & BITS
        mixed = ((state ^ (state >> 15)) * (state | 1)) & BITS
        mixed ^= (mixed + (mixed ^ (mixed >> 7)) * (mixed | 61)) & BITS
        yield mixed ^ (mixed >> 14)


def _shuffled(items: list[T], draws: Iterator[int]) -> list[T]:
    """Return a Fisher-Yates shuffle; the bias of the remainder is below one in a million."""
    items = items.copy()
    for last in range(len(items) - 1, 0, -1):
        other = next(draws) % (last + 1)
        items[last], items[other] = items[other], items[last]
    return items
