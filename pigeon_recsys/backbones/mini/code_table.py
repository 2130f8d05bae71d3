"""One vector for every visual id, shared between ids that share digits.

In:  the quantizer's levels.
Out: a table (V, D), to embed visual ids or to score them.

An id of a finite scalar quantizer is a number of few digits, and ids that differ in one digit
look alike. A table of free rows has to learn every id apart; here a row is the sum of a free
row and one row for each digit. After equally many steps that takes 0.47 off the language
model's loss (`benchmarks/LOG.md`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.backbones.mini.quantizer import FiniteScalarQuantizer

# V visual ids, C numbers per code, L digits of all places together, D width

INIT_STD = 0.02  # as the language model's own embeddings

# Of the block that runs now, not of the tables: other threads and whatever comes after the
# block, such as a training step, never see it.
_BUILT: ContextVar[Mapping[nn.Module, Tensor] | None] = ContextVar("built_tables", default=None)


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
        built = (_BUILT.get() or {}).get(self)
        if built is not None:
            return built
        return self.own_VD + self.digit_VL @ self.digit_LD


@contextmanager
def built_once(*tables: CodeTable) -> Iterator[None]:
    """Build these tables once for the whole block: their weights must not change within it.

    A table takes longer to build than to use, and decoding uses it at every token. No gradient
    reaches the weights from inside the block.
    """
    built: dict[nn.Module, Tensor] = {table: table().detach() for table in tables}
    token = _BUILT.set({**(_BUILT.get() or {}), **built})
    try:
        yield
    finally:
        _BUILT.reset(token)
