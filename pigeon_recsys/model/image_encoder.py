"""The mini image encoder: one picture to one unit vector in two halves.

In:  uint8 RGB pixels, all of the encoder's size (`retrieval.onnx_embedder.prepare` resizes).
Out: unit vectors (B, D): first the content half (what the picture shows), then the taste half
     (who likes it). Each half has length √½, so a dot product of two embeddings is the mean
     of the cosines of their halves.

Both heads read the mean and the spread of every stage's channels over the picture. The spread
over fine-grained channels is what drawing style looks like; the deep stage knows the subject.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.files import write_bytes_atomic

# B pictures, H height, W width, C channels, S pooled statistics, D embedding width

# Names the config in the file's header, its only entry: several come in no fixed order.
FORMAT = "pigeon-recsys image encoder 1"
NUM_GROUPS = 8  # of channels normalised together; every stage's width is a multiple of it
SPREAD_FLOOR = 1e-5  # added to a variance: a flat picture has spread zero and no gradient there
HALF_LENGTH = 0.5**0.5  # two halves of this length make a unit vector
REBUILD = "pigeon-recsys train embedder --data DIR --out RUN"


@dataclass(frozen=True)
class ImageEncoderConfig:
    """The encoder's shape; stored with its weights."""

    image_size: int = 72  # pixels a side
    patch: int = 4  # pixels a side that the first layer reads at once
    channels: tuple[int, ...] = (32, 64, 128)  # of each stage; each halves the one before
    content_dim: int = 64
    taste_dim: int = 64

    def __post_init__(self) -> None:
        bad = [width for width in self.channels if width < 1 or width % NUM_GROUPS]
        if bad or not self.channels:
            raise SettingsError(
                f"image encoder channels must be multiples of {NUM_GROUPS}, got {self.channels}"
            )
        if self.patch < 1 or self.image_size < self.patch or self.image_size % self.patch:
            raise SettingsError(
                f"image encoder image_size must be a multiple of its patch {self.patch}, "
                f"got {self.image_size}"
            )
        if min(self.content_dim, self.taste_dim) < 1:
            raise SettingsError(
                "image encoder content_dim and taste_dim must be at least 1, "
                f"got {self.content_dim} and {self.taste_dim}"
            )

    @property
    def dim(self) -> int:
        """Width of a whole embedding."""
        return self.content_dim + self.taste_dim


class ConvBlock(nn.Module):
    """A residual 3×3 convolution between normalisation and a channel mix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, width)
        self.spatial = nn.Conv2d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the features with the block's correction added."""
        change_BCHW: Tensor = self.mix(functional.gelu(self.spatial(self.norm(x_BCHW))))
        return x_BCHW + change_BCHW


class ImageEncoder(nn.Module):
    """Pictures to two-part unit vectors; about 0.3 M weights in its default shape."""

    def __init__(self, config: ImageEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or ImageEncoderConfig()
        first, *rest = self.config.channels
        self.patches = nn.Conv2d(3, first, self.config.patch, stride=self.config.patch)
        self.blocks = nn.ModuleList(ConvBlock(width) for width in self.config.channels)
        self.shrink = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1)
            for before, after in zip(self.config.channels, rest, strict=False)
        )
        num_statistics = 2 * sum(self.config.channels)
        self.statistics_norm = nn.LayerNorm(num_statistics)
        self.content_head = nn.Linear(num_statistics, self.config.content_dim)
        self.taste_head = nn.Linear(num_statistics, self.config.taste_dim)

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        """Return unit vectors (B, D) of uint8 pixels."""
        content_BD, taste_BD = self.halves(pixels_BHWC.float() / 255)
        return torch.cat((content_BD, taste_BD), dim=1) * HALF_LENGTH

    def halves(self, pixels_BHWC: Tensor) -> tuple[Tensor, Tensor]:
        """Return the content and the taste half, each of unit length, of pixels in [0, 1]."""
        statistics_BS = self.statistics_norm(self._statistics(pixels_BHWC))
        return (
            functional.normalize(self.content_head(statistics_BS), dim=1),
            functional.normalize(self.taste_head(statistics_BS), dim=1),
        )

    def _statistics(self, pixels_BHWC: Tensor) -> Tensor:
        """Return the mean and the spread of every stage's channels over the picture."""
        x_BCHW = self.patches(pixels_BHWC.permute(0, 3, 1, 2) * 2 - 1)
        pooled: list[Tensor] = []
        for stage, block in enumerate(self.blocks):
            if stage:
                x_BCHW = self.shrink[stage - 1](x_BCHW)
            x_BCHW = block(x_BCHW)
            mean_BC = x_BCHW.mean(dim=(2, 3))
            variance_BC = (x_BCHW - mean_BC[:, :, None, None]).square().mean(dim=(2, 3))
            pooled += [mean_BC, (variance_BC + SPREAD_FLOOR).sqrt()]
        return torch.cat(pooled, dim=1)


def save_image_encoder(encoder: ImageEncoder, path: Path) -> str:
    """Write the weights in half precision, the config in their header; return the sha256."""
    config = json.dumps(asdict(encoder.config), sort_keys=True)
    weights = {name: weight.half().contiguous() for name, weight in encoder.state_dict().items()}
    content = save(weights, metadata={FORMAT: config})
    write_bytes_atomic(path, content)
    return hashlib.sha256(content).hexdigest()


def load_image_encoder(path: Path) -> ImageEncoder:
    """Read an encoder that `save_image_encoder` wrote, ready for inference."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as exc:
        raise ArtifactError(path, "does not exist", rebuild=REBUILD) from exc
    except (SafetensorError, OSError) as exc:
        raise ArtifactError(path, f"is no safetensors file ({exc})", rebuild=REBUILD) from exc
    if FORMAT not in header:
        raise ArtifactError(path, f"holds no {FORMAT!r}", rebuild=REBUILD)
    try:
        fields = json.loads(header[FORMAT])
        fields["channels"] = tuple(fields["channels"])
        encoder = ImageEncoder(ImageEncoderConfig(**fields))
        encoder.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError, SettingsError) as exc:
        fault = f"holds other weights than it says ({exc})"
        raise ArtifactError(path, fault, rebuild=REBUILD) from exc
    return encoder.eval()
