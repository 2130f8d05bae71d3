"""LPIPS: how different two pictures look, by the features of a network.

In:  two lists of pictures of one size.
Out: one distance a pair; 0 for equal pictures.

With AlexNet it is LPIPS itself (version 0.1), whose learned channel weights come with
`torchmetrics`. With the stand-in encoder every channel counts alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.network_identity import tensor_hashes
from pigeon_recsys.evaluation.stand_in import LABEL, StandIn
from pigeon_recsys.records import Pixels, Vectors

if TYPE_CHECKING:
    from torch import Tensor

# B pairs, C channels, H height, W width

LABEL_ALEXNET = "AlexNet"
BATCH = 32  # pairs at once; bounds memory, changes nothing
NORM_FLOOR = 1e-10  # added to a length, as in the reference implementation
MIN_SIDE = 64  # pixels; AlexNet's last stage is empty below it
# AlexNet's convolutions: place among its `features`, channels in and out, kernel, stride, padding
ALEXNET = (
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)
POOLED_BEFORE = (3, 6)  # places of the convolutions that a 3×3 maximum with stride 2 precedes
SHIFT = (-0.030, -0.088, -0.188)  # LPIPS's input scaling, of colours in [-1, 1]
SCALE = (0.458, 0.448, 0.450)


@dataclass(frozen=True)
class PerceptualDistance:
    """A distance over the feature maps that `pyramid` gives for pixels in [0, 1]."""

    label: str
    pyramid: Callable[["Tensor"], list["Tensor"]]
    tensor_hashes: frozenset[str]
    channel_weights: tuple["Tensor", ...] | None = None  # of each stage; None: all 1

    def distances(self, images: Sequence[Pixels], others: Sequence[Pixels]) -> Vectors:
        """Return the distance of each pair, (len(images),)."""
        import torch

        parts = [np.zeros(0, np.float32)]
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                left = _to_tensor(images[start : start + BATCH])
                right = _to_tensor(others[start : start + BATCH])
                parts.append(self._distance(left, right).numpy())
        return np.concatenate(parts)

    def _distance(self, left_BCHW: "Tensor", right_BCHW: "Tensor") -> "Tensor":
        import torch

        total_B = torch.zeros(len(left_BCHW))
        stages = zip(self.pyramid(left_BCHW), self.pyramid(right_BCHW), strict=True)
        for stage, (a_BCHW, b_BCHW) in enumerate(stages):
            square_BCHW = (_unit_channels(a_BCHW) - _unit_channels(b_BCHW)).square()
            if self.channel_weights is not None:
                square_BCHW = square_BCHW * self.channel_weights[stage]
            total_B += square_BCHW.sum(dim=1).mean(dim=(1, 2))
        return total_B


def stand_in_distance(stand_in: StandIn) -> PerceptualDistance:
    """Return the distance over the stand-in's stages."""
    return PerceptualDistance(LABEL, stand_in.pyramid, stand_in.tensor_hashes)


def load_lpips(path: Path) -> PerceptualDistance:
    """Return LPIPS over AlexNet weights in torchvision's layout (`features.0.weight`, …).

    Raises `ArtifactError`.
    """
    state = read_tensors(path, rebuild="downloading torchvision's alexnet weights")
    weights: list[tuple[Tensor, Tensor]] = []
    for place, narrow, wide, kernel, _, _ in ALEXNET:
        weight, bias = state.get(f"features.{place}.weight"), state.get(f"features.{place}.bias")
        if weight is None or bias is None or weight.shape != (wide, narrow, kernel, kernel):
            fault = f"holds no AlexNet: features.{place}.weight is missing or of another shape"
            raise ArtifactError(path, fault, rebuild="downloading torchvision's alexnet weights")
        weights.append((weight.float(), bias.float()))
    used = {f"{number}": weight for number, (weight, _) in enumerate(weights)}

    def pyramid(pixels_BCHW: "Tensor") -> "list[Tensor]":
        return _alexnet_maps(pixels_BCHW, weights)

    return PerceptualDistance(LABEL_ALEXNET, pyramid, tensor_hashes(used), _channel_weights())


def read_tensors(path: Path, *, rebuild: str) -> dict[str, "Tensor"]:
    """Return the tensors of a safetensors or `.pth` file; nothing but tensors is unpickled."""
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise ArtifactError(path, "does not exist", rebuild=rebuild)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as exc:  # both raise many types for a file that is not theirs
        raise ArtifactError(path, "is no file of weights", rebuild=rebuild) from exc
    if not isinstance(state, dict):
        raise ArtifactError(path, "is no file of weights by name", rebuild=rebuild)
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _alexnet_maps(
    pixels_BCHW: "Tensor", weights: "Sequence[tuple[Tensor, Tensor]]"
) -> "list[Tensor]":
    """Return the features after each of AlexNet's convolutions."""
    import torch
    from torch.nn import functional

    if min(pixels_BCHW.shape[-2:]) < MIN_SIDE:
        factor = MIN_SIDE / min(pixels_BCHW.shape[-2:])
        pixels_BCHW = functional.interpolate(pixels_BCHW, scale_factor=factor, mode="bilinear")
    shift, scale = (torch.tensor(values)[:, None, None] for values in (SHIFT, SCALE))
    x_BCHW = (pixels_BCHW * 2 - 1 - shift) / scale
    maps = []
    for (place, _, _, _, stride, padding), (weight, bias) in zip(ALEXNET, weights, strict=True):
        if place in POOLED_BEFORE:
            x_BCHW = functional.max_pool2d(x_BCHW, 3, stride=2)
        x_BCHW = functional.conv2d(x_BCHW, weight, bias, stride=stride, padding=padding).relu()
        maps.append(x_BCHW)
    return maps


def _channel_weights() -> tuple["Tensor", ...]:
    """Return LPIPS's learned weights of AlexNet's channels, each (1, C, 1, 1)."""
    from importlib.util import find_spec

    package = find_spec("torchmetrics")
    assert package is not None
    assert package.origin is not None
    file = Path(package.origin).parent / "functional" / "image" / "lpips_models" / "alex.pth"
    state = read_tensors(file, rebuild="pip install torchmetrics")
    return tuple(state[f"lin{stage}.model.1.weight"].float() for stage in range(len(ALEXNET)))


def _unit_channels(map_BCHW: "Tensor") -> "Tensor":
    length_B1HW = map_BCHW.square().sum(dim=1, keepdim=True).sqrt()
    return map_BCHW / (length_B1HW + NORM_FLOOR)


def _to_tensor(images: Sequence[Pixels]) -> "Tensor":
    import torch

    stacked = torch.from_numpy(np.stack(list(images)))
    return stacked.permute(0, 3, 1, 2).float() / 255
