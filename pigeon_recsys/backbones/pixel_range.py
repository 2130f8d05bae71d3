"""Between pictures as people store them and tensors as models want them."""

import numpy as np
import torch
from torch import Tensor

from pigeon_recsys.records import Pixels

# B images, C colours, H height, W width


def to_model_range(pixels: Pixels) -> Tensor:
    """Turn uint8 pixels (B, H, W, 3) into float32 pixels_BCHW in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(pixels_BCHW: Tensor) -> Pixels:
    """Turn pixels_BCHW in [-1, 1] into uint8 pixels (B, H, W, 3)."""
    scaled = ((pixels_BCHW.clamp(-1, 1) + 1) * 127.5).round()
    array: Pixels = scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return array
