"""The stand-in evaluator's network, for where no pretrained scorer can be had.

In:  pictures of any size, texts.
Out: features of every stage, a vector to compare pictures by, and one to compare with texts.

Its shape is not the selecting encoder's: strided convolutions, a pooled grid and a thumbnail in
place of patches and channel statistics; and it learns from pictures and texts alone, never from
likes. The thumbnail carries layout and palette whole, which a few minutes of training would not
teach the convolutions.
"""

import torch  # noqa: TID253 - a network is a torch module; whoever evaluates imports this late
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from pigeon_recsys.alignment.caption_tower import CaptionTower

# B pictures, C channels, H height, W width, F pooled features, T these and a thumbnail,
# D width of a head

INPUT_SIZE = 64  # pixels a side; other sizes are brought to it
WIDTHS = (24, 48, 80, 112)  # of the stages; each halves the picture
NUM_GROUPS = 8  # of channels normalised together
GRID = 2  # the last stage is pooled to GRID × GRID, so that a place still counts
THUMBNAIL = 16  # pixels a side
HEAD = 64  # width of either head


class EvaluatorNetwork(nn.Module):
    """Pictures to stage features and two unit vectors; about 0.9 M weights with its text side."""

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
        num_described = num_features + 3 * THUMBNAIL * THUMBNAIL
        self.view_head = nn.Linear(num_described, HEAD)
        self.caption_head = nn.Linear(num_described, HEAD)
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

    def described(self, pixels_BCHW: Tensor) -> Tensor:
        """Return described_BT: the features and, beside them, the thumbnail in [-1, 1]."""
        thumbnail_BCHW = resized(pixels_BCHW, THUMBNAIL) * 2 - 1
        return torch.cat([self.features(pixels_BCHW), thumbnail_BCHW.flatten(1)], dim=1)

    def view_vectors(self, described_BT: Tensor) -> Tensor:
        """Return unit vectors (B, D) in which two views of one picture are near."""
        return functional.normalize(self.view_head(described_BT), dim=1)

    def caption_vectors(self, described_BT: Tensor) -> Tensor:
        """Return unit vectors (B, D) near those of the picture's text."""
        return functional.normalize(self.caption_head(described_BT), dim=1)


def to_input_size(pixels_BCHW: Tensor) -> Tensor:
    """Return the pictures at the network's size."""
    return resized(pixels_BCHW, INPUT_SIZE)


def resized(pixels_BCHW: Tensor, side: int) -> Tensor:
    """Return the pictures as squares of this side."""
    if pixels_BCHW.shape[-2:] == (side, side):
        return pixels_BCHW
    return functional.interpolate(pixels_BCHW, (side, side), mode="bilinear", antialias=True)


def to_unit_range(images_BHWC: Tensor) -> Tensor:
    """Return uint8 pictures as pixels_BCHW in [0, 1]."""
    return images_BHWC.permute(0, 3, 1, 2).to(torch.float32) / 255
