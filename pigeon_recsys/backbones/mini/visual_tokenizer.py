"""The visual tokenizer: a picture becomes a grid of ids, and ids become a picture again.

In:  pixels, `float32` in [-1, 1].
Out: one id per 12x12 patch; back: per-patch features, and a first, slightly soft picture
     that the diffusion detokenizer sharpens.

Convolutions work on 3x3 blocks moved into channels, never at full resolution; a transformer
ties the patches together. On one CPU core that reaches recognizable stickers within two
minutes, where a transformer on raw patches alone needs far longer (`benchmarks/LOG.md`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.backbones.mini.quantizer import FiniteScalarQuantizer

# B images, C colours or channels, H height, W width, T tokens per image, D width of a token,
# F width of a feature

BLOCK = 3  # pixels moved into channels before the first convolution
PATCH = 4 * BLOCK  # pixels a token covers, in each direction: two halvings follow the blocks
NORM_GROUPS = 8


@dataclass(frozen=True)
class VisualTokenizerConfig:
    """Sizes of the tokenizer. Height and width are pixels, multiples of `PATCH`."""

    height: int = 72
    width: int = 72
    fine_channels: int = 32
    coarse_channels: int = 64
    dim: int = 128
    num_heads: int = 4
    encoder_layers: int = 1
    decoder_layers: int = 2
    levels: tuple[int, ...] = (8, 5, 5, 5)

    def __post_init__(self) -> None:
        for name, size in (("height", self.height), ("width", self.width)):
            if size % PATCH or size < PATCH:
                raise ValueError(f"{name} must be a multiple of {PATCH}, got {size}")

    @property
    def rows(self) -> int:
        """Token rows of one image."""
        return self.height // PATCH

    @property
    def columns(self) -> int:
        """Token columns of one image."""
        return self.width // PATCH


class Residual(nn.Module):
    """Two normalised convolutions beside a skip connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_1 = nn.GroupNorm(NORM_GROUPS, channels)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm_2 = nn.GroupNorm(NORM_GROUPS, channels)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, hidden_BCHW: Tensor) -> Tensor:
        """Return the input plus its correction, same shape."""
        inner = self.conv_1(functional.silu(self.norm_1(hidden_BCHW)))
        correction: Tensor = self.conv_2(functional.silu(self.norm_2(inner)))
        return hidden_BCHW + correction


class VisualTokenizer(nn.Module):
    """Convolutions and a transformer around a finite scalar quantizer."""

    def __init__(self, config: VisualTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        num_tokens = config.rows * config.columns
        self.quantizer = FiniteScalarQuantizer(config.levels)
        self.down = _down(config)
        self.encoder_position = nn.Parameter(torch.randn(num_tokens, config.dim) * 0.02)
        self.encoder = _transformer(config, config.encoder_layers)
        self.to_latent = nn.Linear(config.dim, len(config.levels))
        self.from_code = nn.Linear(len(config.levels), config.dim)
        self.decoder_position = nn.Parameter(torch.randn(num_tokens, config.dim) * 0.02)
        self.decoder = _transformer(config, config.decoder_layers)
        self.up = _up(config)

    @property
    def num_codes(self) -> int:
        """Size of the visual codebook."""
        return self.quantizer.num_codes

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """Return the reconstruction of pixels_BCHW, with gradients to the encoder."""
        code_BTC, _ = self.quantizer(self._latents(pixels_BCHW))
        return self._paint(self._decode(code_BTC))

    @torch.no_grad()
    def encode(self, pixels_BCHW: Tensor) -> Tensor:
        """Return id_BT, row by row over the token grid."""
        id_BT: Tensor = self.quantizer(self._latents(pixels_BCHW))[1]
        return id_BT

    def features(self, id_BT: Tensor, keep_BT: Tensor | None = None) -> Tensor:
        """Return feature_BTF of the tokens; tokens that are not kept say nothing.

        Without a mask this is what `paint` turns into pixels. A mask holds 1 for kept tokens
        and 0 for hidden ones; its gradient flows (a straight-through mask stays trainable).
        """
        return self._decode(self.quantizer.codes(id_BT), keep_BT)

    @torch.no_grad()
    def paint(self, id_BT: Tensor) -> Tensor:
        """Return the soft picture_BCHW of the ids, in [-1, 1]."""
        return self._paint(self.features(id_BT)).clamp(-1, 1)

    def _latents(self, pixels_BCHW: Tensor) -> Tensor:
        patch_BTD = self.down(pixels_BCHW).flatten(2).transpose(1, 2)
        latent_BTC: Tensor = self.to_latent(self.encoder(patch_BTD + self.encoder_position))
        return latent_BTC

    def _decode(self, code_BTC: Tensor, keep_BT: Tensor | None = None) -> Tensor:
        hidden_BTD = self.from_code(code_BTC)
        if keep_BT is not None:
            hidden_BTD = hidden_BTD * keep_BT[..., None]
        feature_BTF: Tensor = self.decoder(hidden_BTD + self.decoder_position)
        return feature_BTF

    def _paint(self, feature_BTF: Tensor) -> Tensor:
        grid_BFHW = feature_BTF.transpose(1, 2).unflatten(
            2, (self.config.rows, self.config.columns)
        )
        pixels_BCHW: Tensor = self.up(grid_BFHW)
        return pixels_BCHW


def _down(config: VisualTokenizerConfig) -> nn.Sequential:
    """Pixels to one vector a patch."""
    fine, coarse = config.fine_channels, config.coarse_channels
    return nn.Sequential(
        nn.PixelUnshuffle(BLOCK),
        nn.Conv2d(3 * BLOCK**2, fine, 3, padding=1),
        Residual(fine),
        nn.Conv2d(fine, coarse, 4, stride=2, padding=1),
        Residual(coarse),
        nn.Conv2d(coarse, config.dim, 4, stride=2, padding=1),
    )


def _up(config: VisualTokenizerConfig) -> nn.Sequential:
    """One vector a patch to pixels."""
    fine, coarse = config.fine_channels, config.coarse_channels
    return nn.Sequential(
        Residual(config.dim),
        nn.Conv2d(config.dim, 4 * coarse, 3, padding=1),
        nn.PixelShuffle(2),
        Residual(coarse),
        Residual(coarse),
        nn.Conv2d(coarse, 4 * fine, 3, padding=1),
        nn.PixelShuffle(2),
        Residual(fine),
        Residual(fine),
        nn.Conv2d(fine, 3 * BLOCK**2, 3, padding=1),
        nn.PixelShuffle(BLOCK),
    )


def _transformer(config: VisualTokenizerConfig, num_layers: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        config.dim,
        config.num_heads,
        dim_feedforward=4 * config.dim,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=True,
    )
    norm = nn.LayerNorm(config.dim)
    return nn.TransformerEncoder(layer, num_layers, norm=norm, enable_nested_tensor=False)
