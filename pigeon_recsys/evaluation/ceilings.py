"""Rows that tell how far a table can be trusted: the truth itself, a little worse.

In:  cases with a target.
Out: the target slightly degraded, and the target as the model's own tokens show it.

What a column says of the first is the accuracy of whoever judges. What it says of the second is
the most that this model can reach, were every token right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels

SHIFTS = (-2, -1, 1, 2)  # pixels, in each direction; what leaves is filled from the edge
BLUR_RADIUS = 0.7  # pixels, of a Gaussian
BRIGHTNESS = 0.08  # the most that is added or taken, as a share
NOISE = 4.0  # standard deviation, of 255

Repaint = Callable[[Pixels, int], Pixels]  # a picture and a seed to the model's picture of it


@dataclass(frozen=True)
class DegradedTruth:
    """The target shifted, blurred, brightened or darkened, with noise: still right to any eye."""

    name: str = "ground truth, slightly degraded"
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return the degraded targets; the same case, the same pixels."""
        return [
            None if case.target is None else degraded(case.target, case.task.seed) for case in cases
        ]


@dataclass(frozen=True)
class TokenRoundTrip:
    """The target through the visual tokenizer of the model under evaluation and back."""

    repaint: Repaint
    name: str = "ground truth, through the tokenizer"
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return the targets as the model paints them from their own tokens."""
        return [
            None if case.target is None else self.repaint(case.target, case.task.seed)
            for case in track(cases, self.name, total=len(cases))
        ]


def degraded(pixels: Pixels, seed: int) -> Pixels:
    """Return the picture slightly worse."""
    rng = np.random.default_rng(seed)
    down, right = (int(rng.choice(SHIFTS)) for _ in range(2))
    blurred = Image.fromarray(_shifted(pixels, down, right)).filter(
        ImageFilter.GaussianBlur(BLUR_RADIUS)
    )
    light = 1 + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    worn = np.asarray(blurred, np.float32) * light + rng.normal(0, NOISE, pixels.shape)
    return np.clip(worn, 0, 255).round().astype(np.uint8)


def _shifted(pixels: Pixels, down: int, right: int) -> Pixels:
    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    shifted: Pixels = pixels[rows[:, None], columns]
    return shifted
