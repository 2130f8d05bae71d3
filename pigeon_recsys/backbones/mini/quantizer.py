"""Finite scalar quantization: vectors to ids without a learned codebook.

In:  latent vectors, one number a level.
Out: the nearest grid point of each and its id.
Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", ICLR 2024.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

# B images, T tokens per image, C numbers per code

EDGE = 1e-3  # keeps tanh inside the outermost level, so that its gradient never vanishes


class FiniteScalarQuantizer(nn.Module):
    """Round each of C bounded numbers to one of its levels; the ids are mixed-radix digits."""

    level_C: Tensor
    base_C: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"every quantizer level must be at least 2, got {list(levels)}")
        bases = [prod(levels[:i]) for i in range(len(levels))]
        self.num_codes = prod(levels)
        self.register_buffer("level_C", torch.tensor(levels), persistent=False)
        self.register_buffer("base_C", torch.tensor(bases), persistent=False)

    def forward(self, latent_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """Return code_BTC in [-1, 1], with straight-through gradients, and id_BT."""
        bounded_BTC = self._bound(latent_BTC)
        rounded_BTC = bounded_BTC + (bounded_BTC.round() - bounded_BTC).detach()
        half_C = torch.div(self.level_C, 2, rounding_mode="floor")
        digit_BTC = (rounded_BTC.detach() + half_C).round().long()
        return rounded_BTC / half_C, (digit_BTC * self.base_C).sum(dim=-1)

    def codes(self, id_BT: Tensor) -> Tensor:
        """Return code_BTC in [-1, 1] for ids, the inverse of `forward`."""
        half_C = torch.div(self.level_C, 2, rounding_mode="floor")
        return (self.digits(id_BT) - half_C) / half_C

    def digits(self, id_BT: Tensor) -> Tensor:
        """Return digit_BTC, each from 0 to below its level."""
        return torch.div(id_BT[..., None], self.base_C, rounding_mode="floor") % self.level_C

    def _bound(self, latent_BTC: Tensor) -> Tensor:
        """Squash each number so that rounding meets exactly its levels (even counts shift)."""
        half_C = (self.level_C - 1) * (1 + EDGE) / 2
        offset_C = torch.where(self.level_C % 2 == 0, 0.5, 0.0)
        shift_C = torch.atanh(offset_C / half_C)
        return (latent_BTC + shift_C).tanh() * half_C - offset_C
