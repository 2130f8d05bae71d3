"""A generator that does what the first word of a user's id says, or fails altogether.

In:  tasks of users such as `hangs.3`; a file whose presence breaks the generator for everyone.
Out: the pictures of `FakeGenerator`, or what a broken model may do.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.records import Generation, GenerationTask, Pixels, content_hash
from pigeon_recsys.testing.fakes import FakeGenerator
from tests.connectors.faults.journal import MADE, Journal

HANGS, RAISES, DIES = "hangs", "raises", "dies"
FOREVER_S = 3600.0
SIDE = 8  # pixels: small, so that noise keeps pictures of plain items from being near copies


def _enlarged(made: Generation, side: int) -> Generation:
    """Return a larger picture of the same, with fine noise that no PNG makes small."""
    if side == SIDE:
        return made
    blocks = made.pixels.repeat(side // SIDE, axis=0).repeat(side // SIDE, axis=1)
    noise = np.random.default_rng(made.provenance.seed).integers(-16, 17, blocks.shape)
    return _showing(made, np.clip(blocks + noise, 0, 255).astype(np.uint8))


def _showing(made: Generation, pixels: Pixels) -> Generation:
    """Return what would have been made with these pixels."""
    digest = content_hash(pixels)
    return replace(
        made,
        item_id=f"gen-{digest[:16]}",
        pixels=pixels,
        provenance=replace(made.provenance, content_hash=digest),
    )


def _swapped(made: Generation) -> Any:
    return replace(made, pixels=255 - made.pixels)


def _flat(made: Generation) -> Any:
    return _showing(made, np.full_like(made.pixels, 128))


GARBAGE: Mapping[str, Callable[[Generation], Any]] = {
    "nothing": lambda made: None,
    "numbers": lambda made: replace(made, pixels=made.pixels.astype(np.float64)),
    "blank": _flat,
    "mislabelled": _swapped,  # not the picture of its provenance
    "unnamed": lambda made: replace(made, item_id=""),
    "another's": lambda made: replace(made, provenance=replace(made.provenance, user_id="eve")),
    "untold": lambda made: replace(made, provenance=None),  # type: ignore[arg-type]
}


@dataclass(frozen=True)
class Mood:
    """How a generator works; a value, so that it can be sent to a process."""

    journal: Path
    worker: int  # whose generator it is, as the journal knows it
    picture_s: float = 0.0
    side: int = SIDE  # pixels, a multiple of it
    broken: Path | None = None

    def generator(self) -> "MoodyGenerator":
        """Return the generator."""
        return MoodyGenerator(self)


class MoodyGenerator(FakeGenerator):
    """Notes what it is asked for before it does what it likes."""

    def __init__(self, mood: Mood) -> None:
        super().__init__(side=SIDE)
        self._mood = mood
        self._journal = Journal(mood.journal)

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, and whatever else the users' names say."""
        for task in tasks:
            self._journal.note(self._mood.worker, MADE, task.seed)
        time.sleep(self._mood.picture_s * len(tasks))
        moods = {mood_of(task.user_id) for task in tasks}
        if self._mood.broken is not None and self._mood.broken.exists():
            raise RuntimeError("no GPU")
        if HANGS in moods:
            time.sleep(FOREVER_S)
        if DIES in moods:
            os._exit(11)
        if RAISES in moods:
            raise ZeroDivisionError("by design")
        made = [_enlarged(each, self._mood.side) for each in super().generate(tasks)]
        return [
            GARBAGE[mood](each) if (mood := mood_of(task.user_id)) in GARBAGE else each
            for task, each in zip(tasks, made, strict=True)
        ]


def mood_of(user_id: str) -> str:
    """Return the word that a user's id begins with."""
    return user_id.split(".", maxsplit=1)[0]
