"""Train the visual tokenizer, then the refiner that sharpens what it paints.

In:  the pictures of a dataset.
Out: a tokenizer and a refiner, trained in place.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.alignment.examples import spread
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train
from pigeon_recsys.alignment.precision import device_of
from pigeon_recsys.backbones.mini.refiner import Refiner
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer
from pigeon_recsys.backbones.pixel_range import to_model_range, to_pixels
from pigeon_recsys.records import Pixels

# B images, C colours, H height, W width

EDGE_WEIGHT = 0.5  # weight of the gradient error: outlines carry the drawing
NUM_SAMPLES = 8  # pictures on a sample sheet
SAMPLE_STEPS = 4  # of the refiner
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
    device = device_of(tokenizer)
    shown = spread(pixels, NUM_SAMPLES)

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        target = _draw(pixels, batch_size, generator).to(device)
        painted = tokenizer(target)
        mae = functional.l1_loss(painted.detach(), target)
        return {"loss": reconstruction_loss(painted, target), "mae": mae}

    def samples() -> list[Pixels]:
        return [shown, to_pixels(tokenizer(to_model_range(shown).to(device)))]

    return train("tokenizer", tokenizer, step_loss, settings, run, samples=samples)


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
    device = device_of(refiner)
    shown = spread(pixels, NUM_SAMPLES)

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        clean = _draw(pixels, batch_size, generator).to(device)
        soft = tokenizer.paint(tokenizer.encode(clean))
        return {"loss": refiner.loss(clean, soft, generator)}

    def samples() -> list[Pixels]:
        soft = tokenizer.paint(tokenizer.encode(to_model_range(shown).to(device)))
        noise = torch.randn(soft.shape, generator=torch.Generator().manual_seed(0)).to(device)
        return [shown, to_pixels(soft), to_pixels(refiner.sample(soft, SAMPLE_STEPS, noise))]

    return train("refiner", refiner, step_loss, settings, run, samples=samples)


def _draw(pixels: Pixels, batch_size: int, generator: torch.Generator) -> Tensor:
    rows = torch.randint(len(pixels), (batch_size,), generator=generator).numpy()
    return to_model_range(pixels[rows])
