"""What a table of methods measures: its columns, and what pictures are held against.

In:  a case.
Out: the pictures of each anchor: the reference, the history, the target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.records import Pixels

if TYPE_CHECKING:
    from torch import Tensor

Better = Literal["higher", "lower", "neither"]
Scores = list[float | None]  # one a case; None where the case has nothing to compare with


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table."""

    metric: str  # e.g. `CIS`
    against: str  # `reference`, `history`, `target`, `text`, `catalog`, or nothing
    network: str  # whose features it reads; empty for a metric of pixels
    better: Better

    @property
    def title(self) -> str:
        """The column's heading: metric, what it is held against and, always, the network."""
        shown = f"{self.metric} {self.against}".strip()
        return f"{shown} ({self.network})" if self.network else shown

    @property
    def is_planted(self) -> bool:
        """Whether it says right or wrong by the planted truth, held against no picture."""
        return not self.against


class Measure(Protocol):
    """Compares every picture with something of its own case."""

    def scores(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, Scores]:
        """Return one number a case for each of its columns."""


Anchors = dict[str, Callable[[Case], tuple[Pixels, ...]]]

ANCHORS: Anchors = {
    "reference": lambda case: _given(case.task.reference_pixels),
    "history": lambda case: tuple(image.pixels for image in case.task.history),
    "target": lambda case: _given(case.target),
}


def _given(pixels: Pixels | None) -> tuple[Pixels, ...]:
    return () if pixels is None else (pixels,)


def sized(pixels: Pixels, like: Pixels) -> Pixels:
    """Return the picture at the size of another."""
    return resize(pixels, *like.shape[:2])


def to_bytes(images: Sequence[Pixels]) -> "Tensor":
    """Return uint8 images_BCHW of pictures of one size."""
    import torch

    return torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).contiguous()
