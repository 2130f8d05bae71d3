"""Views of pictures: what the stand-in must still recognise, as models paint it.

In:  uint8 images_BHWC.
Out: pixels_BCHW in [0, 1]: a part of each picture, shifted and bent, some blurred, some coarse,
     slightly off in brightness, off in colour here and there, slightly noisy.

A model that paints from tokens loses fine detail first, bends lines and misses the colours of
single patches; an evaluator that mistakes this for another picture measures nothing else.
"""

import torch  # noqa: TID253 - only training imports this, late
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from pigeon_recsys.alignment.augmentation import augment

# B pictures, C colours, H height, W width, P patches a side

MIN_ZOOM = 0.85  # of a side that a view shows
COARSENESS = (1.0, 0.6, 0.45, 0.3)  # of a side's pixels that are left, each as often
NUM_PATCHES = 8  # a side, that bend and miss their colours by themselves
MAX_BEND = 0.05  # of half a side, standard deviation
MAX_GAIN = 0.1  # of brightness, either way; more would be another palette
MAX_PATCH_TINT = 0.3  # standard deviation of a patch's colours
MAX_GREY = 0.5  # of the way to no colour at all


def view(images_BHWC: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random view of each picture; the same generator, the same views."""
    pixels_BCHW = augment(images_BHWC, generator).permute(0, 3, 1, 2)
    return tinted(coarse(bent(pixels_BCHW, generator), generator), generator)


def bent(pixels_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Return a part of each picture at the picture's size, its lines bent."""
    batch = len(pixels_BCHW)
    zoom_B = MIN_ZOOM + (1 - MIN_ZOOM) * torch.rand(batch, generator=generator)
    room_B2 = (2 * torch.rand(batch, 2, generator=generator) - 1) * (1 - zoom_B)[:, None]
    affine_B23 = torch.zeros(batch, 2, 3)
    affine_B23[:, 0, 0] = zoom_B
    affine_B23[:, 1, 1] = zoom_B
    affine_B23[:, :, 2] = room_B2
    grid_BHW2 = functional.affine_grid(affine_B23, list(pixels_BCHW.shape), align_corners=False)
    bend_B2HW = patchwork(pixels_BCHW, 2, MAX_BEND, generator)
    return functional.grid_sample(
        pixels_BCHW,
        grid_BHW2 + bend_B2HW.permute(0, 2, 3, 1),
        padding_mode="border",
        align_corners=False,
    )


def coarse(pixels_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Return the pictures with less detail, each at a level of its own."""
    level_B = torch.randint(len(COARSENESS), (len(pixels_BCHW),), generator=generator)
    size = pixels_BCHW.shape[-2:]
    result_BCHW = pixels_BCHW.clone()
    for level, share in enumerate(COARSENESS[1:], start=1):
        small = [max(1, round(share * side)) for side in size]
        small_BCHW = functional.interpolate(
            pixels_BCHW[level_B == level], small, mode="bilinear", antialias=True
        )
        result_BCHW[level_B == level] = functional.interpolate(small_BCHW, size, mode="bilinear")
    return result_BCHW


def tinted(pixels_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Return the pictures brighter or darker, greyer, and with patches of other colours."""
    batch, num_colours = pixels_BCHW.shape[:2]
    grey_B111 = MAX_GREY * torch.rand(batch, 1, 1, 1, generator=generator)
    greyer_BCHW = pixels_BCHW.lerp(pixels_BCHW.mean(dim=1, keepdim=True), grey_B111)
    gain_B111 = MAX_GAIN * (2 * torch.rand(batch, 1, 1, 1, generator=generator) - 1)
    tint_BCHW = patchwork(pixels_BCHW, num_colours, MAX_PATCH_TINT, generator)
    return (greyer_BCHW * (1 + gain_B111 + tint_BCHW)).clamp(0, 1)


def patchwork(
    pixels_BCHW: Tensor, num_channels: int, spread: float, generator: torch.Generator
) -> Tensor:
    """Return a smooth random field for each picture, of up to this spread at its patches."""
    batch, size = len(pixels_BCHW), pixels_BCHW.shape[-2:]
    spread_B111 = spread * torch.rand(batch, 1, 1, 1, generator=generator)
    shape = (batch, num_channels, NUM_PATCHES, NUM_PATCHES)
    field_BCPP = spread_B111 * torch.randn(shape, generator=generator)
    return functional.interpolate(field_BCPP, size, mode="bilinear")
