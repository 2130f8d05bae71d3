"""The Inception network of the Fréchet distance, in the layout its weights are published in.

In:  uint8 pictures of any size, and a file with the weights of `pytorch-fid`
     (`pt_inception-2015-12-05`, names such as `Mixed_5b.branch1x1.conv.weight`).
Out: 2048 features a picture.

FID's Inception is not the one of torchvision: averages leave the padding out, the last block
takes a maximum, and pictures come in at 299 × 299 in [-1, 1]. Building it here needs no
torchvision.
"""

from pathlib import Path

import torch  # noqa: TID253 - a network is a torch module; whoever evaluates imports this late
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.perceptual_distance import read_tensors

# B pictures, C channels, H height, W width, F features

INPUT_SIZE = 299  # pixels a side
NUM_FEATURES = 2048
NORM_EPS = 1e-3
REBUILD = "downloading the weights pt_inception-2015-12-05 that pytorch-fid publishes"
UNUSED = ("fc.", "AuxLogits.")  # parts of the file that features do not need


class ConvNorm(nn.Module):
    """A convolution, its normalisation, a ReLU."""

    def __init__(
        self,
        narrow: int,
        wide: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(narrow, wide, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(wide, eps=NORM_EPS)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the features."""
        return functional.relu(self.bn(self.conv(x_BCHW)))


class BlockA(nn.Module):
    """1×1, 5×5 and double 3×3 beside an average."""

    def __init__(self, narrow: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = ConvNorm(narrow, 64, 1)
        self.branch5x5_1 = ConvNorm(narrow, 48, 1)
        self.branch5x5_2 = ConvNorm(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvNorm(narrow, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, padding=1)
        self.branch_pool = ConvNorm(narrow, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches side by side."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        wide = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat((self.branch1x1(x), wide, double, self.branch_pool(_average(x))), dim=1)


class BlockB(nn.Module):
    """Halves the map: 3×3 and double 3×3 beside a maximum."""

    def __init__(self, narrow: int) -> None:
        super().__init__()
        self.branch3x3 = ConvNorm(narrow, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvNorm(narrow, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches side by side."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat((self.branch3x3(x), double, functional.max_pool2d(x, 3, 2)), dim=1)


class BlockC(nn.Module):
    """1×1, 7×7 and double 7×7, the seven split into 1×7 and 7×1, beside an average."""

    def __init__(self, middle: int) -> None:
        super().__init__()
        row, column = ((1, 7), (0, 3)), ((7, 1), (3, 0))
        self.branch1x1 = ConvNorm(768, 192, 1)
        self.branch7x7_1 = ConvNorm(768, middle, 1)
        self.branch7x7_2 = _strip(middle, middle, row)
        self.branch7x7_3 = _strip(middle, 192, column)
        self.branch7x7dbl_1 = ConvNorm(768, middle, 1)
        self.branch7x7dbl_2 = _strip(middle, middle, column)
        self.branch7x7dbl_3 = _strip(middle, middle, row)
        self.branch7x7dbl_4 = _strip(middle, middle, column)
        self.branch7x7dbl_5 = _strip(middle, 192, row)
        self.branch_pool = ConvNorm(768, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches side by side."""
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        pooled = self.branch_pool(_average(x))
        return torch.cat((self.branch1x1(x), single, double, pooled), dim=1)


class BlockD(nn.Module):
    """Halves the map: 3×3 and 7×7 beside a maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = ConvNorm(768, 192, 1)
        self.branch3x3_2 = ConvNorm(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvNorm(768, 192, 1)
        self.branch7x7x3_2 = _strip(192, 192, ((1, 7), (0, 3)))
        self.branch7x7x3_3 = _strip(192, 192, ((7, 1), (3, 0)))
        self.branch7x7x3_4 = ConvNorm(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches side by side."""
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        short = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat((short, long, functional.max_pool2d(x, 3, 2)), dim=1)


class BlockE(nn.Module):
    """1×1, 3×3 and double 3×3, the last ones split in two, beside a pool."""

    def __init__(self, narrow: int, *, pools_maximum: bool) -> None:
        super().__init__()
        self.pools_maximum = pools_maximum
        row, column = ((1, 3), (0, 1)), ((3, 1), (1, 0))
        self.branch1x1 = ConvNorm(narrow, 320, 1)
        self.branch3x3_1 = ConvNorm(narrow, 384, 1)
        self.branch3x3_2a = _strip(384, 384, row)
        self.branch3x3_2b = _strip(384, 384, column)
        self.branch3x3dbl_1 = ConvNorm(narrow, 448, 1)
        self.branch3x3dbl_2 = ConvNorm(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _strip(384, 384, row)
        self.branch3x3dbl_3b = _strip(384, 384, column)
        self.branch_pool = ConvNorm(narrow, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches side by side."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, 1, 1) if self.pools_maximum else _average(x)
        branches = (
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        )
        return torch.cat(branches, dim=1)


class InceptionFeatures(nn.Module):
    """FID's Inception without its classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, 3)
        self.Mixed_5b = BlockA(192, pooled=32)
        self.Mixed_5c = BlockA(256, pooled=64)
        self.Mixed_5d = BlockA(288, pooled=64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, pools_maximum=False)
        self.Mixed_7c = BlockE(NUM_FEATURES, pools_maximum=True)

    @classmethod
    def load(cls, path: Path) -> "InceptionFeatures":
        """Read published weights, `.pth` or safetensors. Raises `ArtifactError`."""
        state = read_tensors(path, rebuild=REBUILD)
        kept = {name: value for name, value in state.items() if not name.startswith(UNUSED)}
        network = cls()
        try:
            network.load_state_dict(kept)
        except RuntimeError as exc:
            fault = "holds no Inception of pytorch-fid: " + str(exc).splitlines()[1].strip()
            raise ArtifactError(path, fault, rebuild=REBUILD) from exc
        return network.eval()

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return feature_BF of uint8 pictures."""
        x_BCHW = functional.interpolate(
            images_BCHW.float() / 255, (INPUT_SIZE, INPUT_SIZE), mode="bilinear"
        )
        for name, block in self.named_children():
            x_BCHW = block(x_BCHW * 2 - 1 if name == "Conv2d_1a_3x3" else x_BCHW)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x_BCHW = functional.max_pool2d(x_BCHW, 3, 2)
        return x_BCHW.mean(dim=(2, 3))


def _strip(narrow: int, wide: int, shape: tuple[tuple[int, int], tuple[int, int]]) -> ConvNorm:
    """Return a convolution over a row or a column."""
    kernel, padding = shape
    return ConvNorm(narrow, wide, kernel, padding=padding)


def _average(x: Tensor) -> Tensor:
    """Return the 3×3 averages; padding does not count."""
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
