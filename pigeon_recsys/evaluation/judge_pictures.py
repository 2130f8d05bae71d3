"""The pictures the judge learns from: freshly drawn stickers, and what generation does to them.

In:  a random generator.
Out: stickers with their pictures; a picture worn by blur, noise, compression or lost tokens.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pigeon_recsys.datasets.sticker_drawing import FACTORS, Sticker, draw_sticker
from pigeon_recsys.records import Pixels

Values = NDArray[np.float64]

JUDGE_STREAM = 77_003  # apart from every world's stream, so no picture of a world is met here
DRAWN_SIZES = (72, 96)  # a generated picture's size and a catalog picture's size

WEAR_CHANCE = 0.5  # of each kind of wear, drawn apart from each other
MAX_SHIFT = 3  # pixels
MIN_RESIZE = 0.45  # of the side, before growing back
MAX_BLUR = 1.3  # pixels
BLOCK = 6  # pixels; a visual token's patch
MAX_LOST_BLOCKS = 12
MAX_NOISE = 14.0  # of 255
MIN_JPEG_QUALITY = 20
MAX_TINT = 14.0  # of 255, per channel


def judge_stream(seed: int, *part: int) -> np.random.Generator:
    """Return the random numbers of one part of the judge's training."""
    return np.random.default_rng([JUDGE_STREAM, seed, *part])


def draw_examples(
    count: int, size: int, rng: np.random.Generator
) -> tuple[list[Sticker], list[Pixels]]:
    """Return stickers of independent, uniform factors, drawn and brought to `size`."""
    stickers, pictures = [], []
    for _ in range(count):
        sticker = Sticker(*(values[rng.integers(len(values))] for values in FACTORS.values()))
        drawn = draw_sticker(sticker, int(rng.choice(DRAWN_SIZES)), rng)
        stickers.append(sticker)
        small = Image.fromarray(drawn).resize((size, size), Image.Resampling.BILINEAR)
        pictures.append(np.asarray(small))
    return stickers, pictures


def worn(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a picture after a random choice of wear; each kind by itself leaves it legible."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(_shifted(pixels, rng))
    if rng.random() < WEAR_CHANCE:
        share = rng.uniform(MIN_RESIZE, 1)
        small = image.resize((round(width * share), round(height * share)), Image.Resampling.BOX)
        image = small.resize((width, height), Image.Resampling.BICUBIC)
    if rng.random() < WEAR_CHANCE:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, MAX_BLUR)))
    values: Values = np.asarray(image, dtype=np.float64)
    if rng.random() < WEAR_CHANCE:
        values = _with_lost_blocks(values, rng)
    if rng.random() < WEAR_CHANCE:
        values = values + rng.uniform(-MAX_TINT, MAX_TINT, size=3)
    if rng.random() < WEAR_CHANCE:
        values = values + rng.normal(0, rng.uniform(0, MAX_NOISE), size=values.shape)
    finished = np.clip(values, 0, 255).astype(np.uint8)
    return _compressed(finished, rng) if rng.random() < WEAR_CHANCE else finished


def _shifted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Move the picture a little, repeating its edge."""
    down, right = rng.integers(0, 2 * MAX_SHIFT + 1, size=2)
    padded = np.pad(pixels, ((MAX_SHIFT,) * 2, (MAX_SHIFT,) * 2, (0, 0)), mode="edge")
    return padded[down : down + pixels.shape[0], right : right + pixels.shape[1]]


def _with_lost_blocks(values: Values, rng: np.random.Generator) -> Values:
    """Blend patches with their own mean, as a tokenizer does that lost their detail."""
    values = values.copy()
    for _ in range(rng.integers(1, MAX_LOST_BLOCKS + 1)):
        top, left = (int(rng.integers(0, side // BLOCK)) * BLOCK for side in values.shape[:2])
        block = values[top : top + BLOCK, left : left + BLOCK]
        keep = rng.uniform(0, 0.6)
        block[:] = keep * block + (1 - keep) * block.mean(axis=(0, 1))
    return values


def _compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Pass the picture through JPEG."""
    buffer = io.BytesIO()
    quality = int(rng.integers(MIN_JPEG_QUALITY, 96))
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image)
