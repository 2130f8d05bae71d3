"""The judge's network: one small convolutional trunk, one head per factor of a sticker.

It shares no weights and no training data with any model it judges.
"""

import torch  # noqa: TID253 - a network is a torch module; whoever judges imports this late
from torch import Tensor, nn  # noqa: TID253

from pigeon_recsys.datasets.sticker_drawing import FACTORS

# B pictures, C colours, H height, W width, F trunk features, V values of a factor

INPUT_SIZE = 72  # pixels; larger pictures are reduced to it
WIDTHS = (24, 48, 80, 112, 128)
GRID = 3  # the trunk's last map is pooled to GRID × GRID: a prop is known by its place


class FactorNetwork(nn.Module):
    """Pixels to the logits of every factor."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for number, (narrow, wide) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False)):
            stride = 1 if number == len(WIDTHS) - 1 else 2
            kernel = 5 if number == 0 else 3
            blocks += [
                nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(wide),
                nn.ReLU(inplace=True),
            ]
        self.trunk = nn.Sequential(
            *blocks, nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), nn.Dropout(0.1)
        )
        features = WIDTHS[-1] * GRID * GRID
        self.heads = nn.ModuleDict(
            {factor: nn.Linear(features, len(values)) for factor, values in FACTORS.items()}
        )

    def forward(self, pixels_BCHW: Tensor) -> dict[str, Tensor]:
        """Return logits_BV by factor for pixels from 0 to 255."""
        feature_BF = self.trunk(pixels_BCHW / 127.5 - 1)
        return {factor: head(feature_BF) for factor, head in self.heads.items()}


def to_batch(images_BHWC: Tensor) -> Tensor:
    """Return pixels_BCHW as float, at the network's input size."""
    pixels_BCHW = images_BHWC.permute(0, 3, 1, 2).to(torch.float32)
    if pixels_BCHW.shape[-2:] != (INPUT_SIZE, INPUT_SIZE):
        pixels_BCHW = nn.functional.interpolate(
            pixels_BCHW, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True
        )
    return pixels_BCHW
