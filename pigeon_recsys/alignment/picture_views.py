"""Every picture of the data in several views: turned, moved, scaled, mirrored, recoloured.

In:  uint8 pixels of all items, how many views there shall be.
Out: the pictures of each view; the first is the pictures as they are.

All pictures of a training example are shown in one view, so its history still agrees and its
reference still shows the target's content, while the tokens are other ones. A few thousand
pictures can be learnt by heart, their views cannot: the way to a low loss is to look at the
reference and at the history (`benchmarks/LOG.md`). Colours change places all over the example:
which palette a person likes is then read from the history too.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.backbones.pixel_range import to_model_range
from pigeon_recsys.records import Pixels

# B pictures, C colours, H height, W width

MAX_TURN = math.radians(10)
MAX_MOVE = 0.16  # of half the picture's size: some 6 of 72 pixels
SMALLEST = 0.85  # scale
LARGEST = 1.1
AS_THEY_ARE = (0, 1, 2)  # the colours
BATCH = 64  # pictures changed at a time


@dataclass(frozen=True)
class View:
    """One way to show pictures; what comes in from outside is filled from the edge."""

    colours: tuple[int, ...] = AS_THEY_ARE  # which colour stands in each one's place
    is_mirrored: bool = False
    turn: float = 0.0  # radians
    scale: float = 1.0
    move: tuple[float, float] = (0.0, 0.0)  # along width and height, of half the size

    def show(self, pixels_BCHW: Tensor) -> Tensor:
        """Return the pictures in this view."""
        if self == View():
            return pixels_BCHW
        mirror = -1.0 if self.is_mirrored else 1.0
        cos, sin = math.cos(self.turn) / self.scale, math.sin(self.turn) / self.scale
        affine = torch.tensor(
            [[mirror * cos, -sin, self.move[0]], [mirror * sin, cos, self.move[1]]]
        )
        grid_BHWX = functional.affine_grid(
            affine.expand(len(pixels_BCHW), -1, -1), list(pixels_BCHW.shape), align_corners=False
        )
        shown_BCHW = functional.grid_sample(
            pixels_BCHW, grid_BHWX, padding_mode="border", align_corners=False
        )
        return shown_BCHW[:, list(self.colours)]


def draw_views(count: int, seed: int) -> list[View]:
    """Return as many views, no two alike; the first shows pictures as they are."""
    generator = torch.Generator().manual_seed(seed)
    orders = list(itertools.permutations(AS_THEY_ARE))
    orders += [AS_THEY_ARE] * len(orders)  # half of the views leave each thing its own colour
    views = [View()]
    while len(views) < count:
        order, mirror, turn, scale, right, down = torch.rand(6, generator=generator).tolist()
        views.append(
            View(
                colours=orders[int(order * len(orders))],
                is_mirrored=mirror < 0.5,
                turn=(2 * turn - 1) * MAX_TURN,
                scale=SMALLEST + scale * (LARGEST - SMALLEST),
                move=((2 * right - 1) * MAX_MOVE, (2 * down - 1) * MAX_MOVE),
            )
        )
    return views


def shown_pictures(pixels: Pixels, views: Sequence[View]) -> Iterator[Tensor]:
    """Yield batches of all pictures in the first view, then all in the second, and so on."""
    for view in views:
        for start in range(0, len(pixels), BATCH):
            yield view.show(to_model_range(pixels[start : start + BATCH]))
