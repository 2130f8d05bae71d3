"""One vector for every visual id, shared between ids that share digits.

In:  the quantizer's levels.
Out: a table (V, D), to embed visual ids or to score them.

An id of a finite scalar quantizer is a number of few digits, and ids that differ in one digit
look alike. A table of free rows has to learn every id apart; here a row is the sum of a free
row and one row for each digit. After equally many steps that takes 0.47 off the language
model's loss (`benchmarks/LOG.md`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.backbones.mini.quantizer import FiniteScalarQuantizer

# V visual ids, C numbers per code, L digits of all places together, D width

INIT_STD = 0.02  # as the language model's own embeddings


class CodeTable(nn.Module):
    """A table of V rows: a row for each id plus the rows of its digits."""

    digit_VL: Tensor

    def __init__(self, quantizer: FiniteScalarQuantizer, dim: int) -> None:
        super().__init__()
        digit_VC = quantizer.digits(torch.arange(quantizer.num_codes))
        places = [
            functional.one_hot(digit_VC[:, place], int(level))
            for place, level in enumerate(quantizer.level_C)
        ]
        self.register_buffer("digit_VL", torch.cat(places, dim=1).float(), persistent=False)
        self.own_VD = nn.Parameter(torch.randn(quantizer.num_codes, dim) * INIT_STD)
        self.digit_LD = nn.Parameter(torch.randn(self.digit_VL.shape[1], dim) * INIT_STD)

    def forward(self) -> Tensor:
        """Return the table, row_VD."""
        return self.own_VD + self.digit_VL @ self.digit_LD
