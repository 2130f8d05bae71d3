"""The stand-in evaluator's network, for where no pretrained scorer can be had.

In:  pictures of any size, texts.
Out: features of every stage, a vector to compare pictures by, and one to compare with texts.

Its shape is not the selecting encoder's: strided convolutions and a pooled grid in place of
patches and channel statistics; and it learns from pictures and texts alone, never from likes.
"""

import torch  # noqa: TID253 - a network is a torch module; whoever evaluates imports this late
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from pigeon_recsys.alignment.caption_tower import CaptionTower

# B pictures, C channels, H height, W width, F pooled features, D width of a head

INPUT_SIZE = 64  # pixels a side; other sizes are brought to it
WIDTHS = (24, 48, 80, 112)  # of the stages; each halves the picture
NUM_GROUPS = 8  # of channels normalised together
GRID = 2  # the last stage is pooled to GRID × GRID, so that a place still counts
HEAD = 48  # width of either head


class EvaluatorNetwork(nn.Module):
    """Pictures to stage features and two unit vectors; about 0.6 M weights with its text side."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(narrow, wide, 5 if narrow == 3 else 3, stride=2, padding="valid"),
                nn.GroupNorm(NUM_GROUPS, wide),
                nn.SiLU(),
            )
            for narrow, wide in zip((3, *WIDTHS), WIDTHS, strict=False)
        )
        num_features = WIDTHS[-1] * GRID * GRID
        self.view_head = nn.Linear(num_features, HEAD)
        self.caption_head = nn.Linear(num_features, HEAD)
        self.captions = CaptionTower(HEAD)

    def pyramid(self, pixels_BCHW: Tensor) -> list[Tensor]:
        """Return the feature maps of every stage for pixels in [0, 1] of any size."""
        x_BCHW = to_input_size(pixels_BCHW) * 2 - 1
        maps = []
        for stage in self.stages:
            x_BCHW = stage(functional.pad(x_BCHW, (1, 1, 1, 1), mode="replicate"))
            maps.append(x_BCHW)
        return maps

    def features(self, pixels_BCHW: Tensor) -> Tensor:
        """Return feature_BF: the last stage pooled to a small grid."""
        last_BCHW = self.pyramid(pixels_BCHW)[-1]
        return functional.adaptive_avg_pool2d(last_BCHW, GRID).flatten(1)

    def view_vectors(self, feature_BF: Tensor) -> Tensor:
        """Return unit vectors (B, D) in which two views of one picture are near."""
        return functional.normalize(self.view_head(feature_BF), dim=1)

    def caption_vectors(self, feature_BF: Tensor) -> Tensor:
        """Return unit vectors (B, D) near those of the picture's text."""
        return functional.normalize(self.caption_head(feature_BF), dim=1)


def to_input_size(pixels_BCHW: Tensor) -> Tensor:
    """Return the pictures at the network's size."""
    if pixels_BCHW.shape[-2:] == (INPUT_SIZE, INPUT_SIZE):
        return pixels_BCHW
    size = (INPUT_SIZE, INPUT_SIZE)
    return functional.interpolate(pixels_BCHW, size, mode="bilinear", antialias=True)


def to_unit_range(images_BHWC: Tensor) -> Tensor:
    """Return uint8 pictures as pixels_BCHW in [0, 1]."""
    return images_BHWC.permute(0, 3, 1, 2).to(torch.float32) / 255
