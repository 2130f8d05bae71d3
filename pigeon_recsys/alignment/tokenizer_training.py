"""Train the visual tokenizer, then the refiner that sharpens what it paints.

In:  the pictures of a dataset.
Out: a tokenizer and a refiner, trained in place.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train
from pigeon_recsys.backbones.mini.refiner import Refiner
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer
from pigeon_recsys.backbones.pixel_range import to_model_range
from pigeon_recsys.records import Pixels

# B images, C colours, H height, W width

EDGE_WEIGHT = 0.5  # weight of the gradient error: outlines carry the drawing
TYPICAL_BATCH = 8  # many small steps: a CPU core learns faster from them than from few large ones


def reconstruction_loss(painted_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return the mean absolute error of pixels plus that of their differences."""
    error = painted_BCHW - target_BCHW
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return error.abs().mean() + error.square().mean() + EDGE_WEIGHT * edges


def train_tokenizer(
    tokenizer: VisualTokenizer,
    pixels: Pixels,
    settings: LoopSettings,
    run: Path,
    batch_size: int = TYPICAL_BATCH,
) -> TrainReport:
    """Train encoder, quantizer and decoder to reconstruct `pixels` (N, H, W, 3)."""

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        target = _draw(pixels, batch_size, generator)
        painted = tokenizer(target)
        mae = functional.l1_loss(painted.detach(), target)
        return {"loss": reconstruction_loss(painted, target), "mae": mae}

    return train("tokenizer", tokenizer, step_loss, settings, run)


def train_refiner(
    refiner: Refiner,
    tokenizer: VisualTokenizer,
    pixels: Pixels,
    settings: LoopSettings,
    run: Path,
    batch_size: int = TYPICAL_BATCH,
) -> TrainReport:
    """Train the refiner to sharpen what the frozen tokenizer paints of `pixels`."""
    tokenizer.requires_grad_(False).eval()

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        clean = _draw(pixels, batch_size, generator)
        soft = tokenizer.paint(tokenizer.encode(clean))
        return {"loss": refiner.loss(clean, soft, generator)}

    return train("refiner", refiner, step_loss, settings, run)


def _draw(pixels: Pixels, batch_size: int, generator: torch.Generator) -> Tensor:
    rows = torch.randint(len(pixels), (batch_size,), generator=generator).numpy()
    return to_model_range(pixels[rows])
