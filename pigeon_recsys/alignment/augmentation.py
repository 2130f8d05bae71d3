"""Small changes to a picture that change neither what it shows nor whom it pleases.

In:  uint8 pixels_BHWC.
Out: the same pictures in [0, 1]: shifted by a few pixels, some blurred, all slightly noisy.

Colours stay: a palette is style.
"""

import torch
from torch import Tensor
from torch.nn import functional

# B pictures, H height, W width, C colours

MAX_SHIFT = 4  # pixels either way; what leaves on one side is filled from the edge
BLUR_SHARE = 0.25  # of the pictures
BLUR_WIDTH = 3  # pixels averaged over
MAX_NOISE = 0.03  # standard deviation on the scale 0 to 1


def augment(pixels_BHWC: Tensor, generator: torch.Generator) -> Tensor:
    """Return float pictures in [0, 1], each changed at random."""
    shifted_BHWC = _shift(pixels_BHWC, generator).float() / 255
    is_blurred_B = torch.rand(len(pixels_BHWC), generator=generator) < BLUR_SHARE
    shifted_BHWC[is_blurred_B] = _blur(shifted_BHWC[is_blurred_B])
    noise_B111 = MAX_NOISE * torch.rand(len(pixels_BHWC), 1, 1, 1, generator=generator)
    noise_BHWC = noise_B111 * torch.randn(shifted_BHWC.shape, generator=generator)
    return (shifted_BHWC + noise_BHWC).clamp(0, 1)


def _shift(pixels_BHWC: Tensor, generator: torch.Generator) -> Tensor:
    batch, height, width, _ = pixels_BHWC.shape
    by_B2 = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (batch, 2), generator=generator)
    rows_BH = (torch.arange(height) + by_B2[:, :1]).clamp(0, height - 1)
    columns_BW = (torch.arange(width) + by_B2[:, 1:]).clamp(0, width - 1)
    pictures_B11 = torch.arange(batch)[:, None, None]
    return pixels_BHWC[pictures_B11, rows_BH[:, :, None], columns_BW[:, None, :]]


def _blur(pixels_BHWC: Tensor) -> Tensor:
    pixels_BCHW = functional.pad(
        pixels_BHWC.permute(0, 3, 1, 2), (BLUR_WIDTH // 2,) * 4, mode="replicate"
    )
    return functional.avg_pool2d(pixels_BCHW, BLUR_WIDTH, stride=1).permute(0, 2, 3, 1)
