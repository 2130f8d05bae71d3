"""Finite scalar quantization: vectors to ids without a learned codebook.

In:  latent vectors, one number a level.
Out: the nearest grid point of each and its id.
Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", ICLR 2024.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

# B images, T tokens per image, C numbers per code, K = 2^C grid points around a vector

EDGE = 1e-3  # keeps tanh inside the outermost level, so that its gradient never vanishes


class FiniteScalarQuantizer(nn.Module):
    """Round each of C bounded numbers to one of its levels; the ids are mixed-radix digits."""

    level_C: Tensor
    base_C: Tensor
    corner_KC: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"every quantizer level must be at least 2, got {list(levels)}")
        bases = [prod(levels[:i]) for i in range(len(levels))]
        self.num_codes = prod(levels)
        self.register_buffer("level_C", torch.tensor(levels), persistent=False)
        self.register_buffer("base_C", torch.tensor(bases), persistent=False)
        corner_KC = torch.cartesian_prod(*[torch.arange(2)] * len(levels)).view(-1, len(levels))
        self.register_buffer("corner_KC", corner_KC, persistent=False)

    def forward(self, latent_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """Return code_BTC in [-1, 1], with straight-through gradients, and id_BT."""
        bounded_BTC = self.bounded(latent_BTC)
        rounded_BTC = bounded_BTC + (bounded_BTC.round() - bounded_BTC).detach()
        return rounded_BTC / self._half_C, self.nearest(rounded_BTC.detach())

    def nearest(self, bounded_BTC: Tensor) -> Tensor:
        """Return id_BT of the grid point nearest to each vector."""
        digit_BTC = (bounded_BTC.round() + self._half_C).long()
        return (digit_BTC * self.base_C).sum(dim=-1)

    def around(self, bounded_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """Return id_BTK of the grid points around each vector, and share_BTK of each.

        The shares interpolate linearly: they sum to 1, and the mean of the points by them is the
        vector. A vector at the edge of the grid has some points twice, one of them of share 0.
        """
        place_BTC = (bounded_BTC + self._half_C).clamp(min=0).minimum(self.level_C - 1)
        low_BTC = place_BTC.floor()
        above_BTC = place_BTC - low_BTC
        high_BTC = (low_BTC + 1).minimum(self.level_C - 1)
        is_high_KC = self.corner_KC.bool()
        digit_BTKC = torch.where(is_high_KC, high_BTC[..., None, :], low_BTC[..., None, :])
        share_BTKC = torch.where(is_high_KC, above_BTC[..., None, :], 1 - above_BTC[..., None, :])
        return (digit_BTKC.long() * self.base_C).sum(dim=-1), share_BTKC.prod(dim=-1)

    def codes(self, id_BT: Tensor) -> Tensor:
        """Return code_BTC in [-1, 1] for ids, the inverse of `forward`."""
        return (self.digits(id_BT) - self._half_C) / self._half_C

    def digits(self, id_BT: Tensor) -> Tensor:
        """Return digit_BTC, each from 0 to below its level."""
        return torch.div(id_BT[..., None], self.base_C, rounding_mode="floor") % self.level_C

    def bounded(self, latent_BTC: Tensor) -> Tensor:
        """Squash each number so that rounding meets exactly its levels (even counts shift)."""
        half_C = (self.level_C - 1) * (1 + EDGE) / 2
        offset_C = torch.where(self.level_C % 2 == 0, 0.5, 0.0)
        shift_C = torch.atanh(offset_C / half_C)
        return (latent_BTC + shift_C).tanh() * half_C - offset_C

    @property
    def _half_C(self) -> Tensor:
        return torch.div(self.level_C, 2, rounding_mode="floor")
