"""Mask generation: decide which history and reference tokens the language model sees.

In:  embeddings of one user's history tokens and of the reference's tokens.
Out: a keep mask for each, 1 for kept and 0 for hidden, with straight-through gradients.
Source: Pigeon, section 3.2. A token's relevance is the cosine between its embedding and what
a small transformer makes of it in the light of all the others. Tensor names in the state
dict are those of the released code.

The masks multiply embeddings, so the gradient of the loss reaches this module; the released
code compares them with zero, and its gradient ends there. `compatibility="released"` decides
as that code does, for weights trained with it.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.errors import SettingsError

# B rows, H history images, T tokens per image, L all tokens of a row, D width, N tokens ranked

PAD, HISTORY, REFERENCE = 0, 1, 2  # rows of the type embedding
MAX_POSITION = 256  # tokens of one image; positions count from 1
ROUNDING = 1e-4  # tokens; above the error of a float32 ratio at any length, far below one
MIN_UNIFORM = 1e-9  # keeps the logarithm of a uniform draw finite

MaskKind = Literal["trained", "random", "none"]
Compatibility = Literal["none", "released"]


@dataclass(frozen=True)
class MaskConfig:
    """Sizes and behaviour of the mask generator."""

    num_layers: int = 1
    num_heads: int = 4
    feed_forward: int = 512
    dropout: float = 0.1
    temperature: float = 0.1  # of the relevance before Gumbel noise; lower trusts it more
    history_ratio: float = 0.2  # share of history tokens hidden
    kind: MaskKind = "trained"  # random keeps as many tokens, whichever; none keeps all
    compatibility: Compatibility = "none"

    def __post_init__(self) -> None:
        for name, choices in (
            ("kind", get_args(MaskKind)),
            ("compatibility", get_args(Compatibility)),
        ):
            if (value := getattr(self, name)) not in choices:
                raise SettingsError(f"mask.{name} must be one of {choices}, got {value!r}.")

    @property
    def is_released(self) -> bool:
        """Whether to decide as the released code does."""
        return self.compatibility == "released"


@dataclass(frozen=True)
class TokenRows:
    """A batch of token rows: history images one after another, the reference, padding."""

    embed_BLD: Tensor
    position_BL: Tensor  # inside the image, from 1; 0 on padding
    type_BL: Tensor  # PAD, HISTORY or REFERENCE


@dataclass(frozen=True)
class KeepMasks:
    """Keep masks and the relevance they were decided on."""

    history_BHT: Tensor
    reference_BT: Tensor
    history_relevance_BHT: Tensor
    reference_relevance_BT: Tensor


class SinusoidalPosition(nn.Module):
    """The fixed position table of "Attention Is All You Need", kept in the state dict."""

    pe: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        position = torch.arange(MAX_POSITION + 1)[:, None]
        frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))
        table = torch.zeros(MAX_POSITION + 1, dim)
        table[:, 0::2] = torch.sin(position * frequency)
        table[:, 1::2] = torch.cos(position * frequency)
        self.register_buffer("pe", table)

    def forward(self, position_BL: Tensor) -> Tensor:
        """Return the table's rows for positions that count from 1."""
        return self.pe[position_BL]


class MaskGenerator(nn.Module):
    """Scores tokens by relevance and keeps the best by Gumbel top-k."""

    def __init__(self, dim: int, config: MaskConfig) -> None:
        super().__init__()
        self.config = config
        layer = nn.TransformerEncoderLayer(
            dim, config.num_heads, config.feed_forward, config.dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, config.num_layers, enable_nested_tensor=False)
        self.position_embedding = SinusoidalPosition(dim)
        self.type_embedding = nn.Embedding(3, dim)
        self.dense = nn.Linear(dim, dim)
        self.LayerNorm = nn.LayerNorm(dim)  # used before and after the encoder
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        history_BHTD: Tensor,
        present_BH: Tensor,
        reference_BTD: Tensor,
        reference_ratio_B: Tensor,
        generator: torch.Generator | None = None,
    ) -> KeepMasks:
        """Return the keep masks of a batch.

        `present_BH` is false for history places that hold no image. `reference_ratio_B` is the
        share of reference tokens hidden, α_r. In training the least relevant reference tokens
        are kept and `generator` must be given for the Gumbel noise; in evaluation the most
        relevant are kept, and without a generator the choice is deterministic. A random mask
        always needs the generator.
        """
        shape = history_BHTD.shape[1:3]
        num_history = shape[0] * shape[1]
        rows = grid_rows(history_BHTD, present_BH, reference_BTD)
        relevance_BL = self.relevance(rows)
        keep_BL = self.keep(
            relevance_BL,
            rows.type_BL,
            reference_ratio_B,
            _grid_noise(rows.type_BL, num_history, generator),
        )
        return KeepMasks(
            history_BHT=keep_BL[:, :num_history].unflatten(1, shape),
            reference_BT=keep_BL[:, num_history:],
            history_relevance_BHT=relevance_BL[:, :num_history].unflatten(1, shape),
            reference_relevance_BT=relevance_BL[:, num_history:],
        )

    def relevance(self, rows: TokenRows) -> Tensor:
        """Return relevance_BL, the cosine of each token with what the transformer makes of it."""
        pad_BL = rows.type_BL == PAD
        output_BLD = self.encode(rows.embed_BLD, rows.position_BL, rows.type_BL, pad_BL)
        return functional.cosine_similarity(rows.embed_BLD, output_BLD, dim=-1)

    def keep(
        self,
        relevance_BL: Tensor,
        type_BL: Tensor,
        reference_ratio_B: Tensor,
        gumbel_BL: Tensor | None = None,
        kind: MaskKind | None = None,
    ) -> Tensor:
        """Return keep_BL for rows of history and reference tokens; padding is not kept.

        `kind` stands in for the configured one. Where `compatibility` is "released", ratios of
        float64 give that code's counts.
        """
        config = self.config
        kind = kind or config.kind
        is_history_BL, is_reference_BL = type_BL == HISTORY, type_BL == REFERENCE
        if kind == "none":
            return (is_history_BL | is_reference_BL).to(relevance_BL.dtype)
        if kind == "random" and gumbel_BL is None:
            raise SettingsError("a random mask needs noise, got none. Pass a generator.")
        history_logit_BL = relevance_BL / config.temperature
        if kind == "random":
            history_logit_BL = torch.zeros_like(relevance_BL)
        reference_logit_BL = -history_logit_BL if self.training else history_logit_BL
        if self.training and config.is_released:
            reference_logit_BL = released_training_logit(history_logit_BL, is_reference_BL)
        tolerance = 0.0 if config.is_released else ROUNDING
        history_ratio_B = torch.full_like(
            reference_ratio_B, config.history_ratio, dtype=torch.float64
        )
        history_keep_BL = keep_top(
            history_logit_BL, is_history_BL, history_ratio_B, gumbel_BL, tolerance
        )
        reference_keep_BL = keep_top(
            reference_logit_BL, is_reference_BL, reference_ratio_B, gumbel_BL, tolerance
        )
        keep_BL = history_keep_BL + reference_keep_BL
        return keep_BL.detach() if config.is_released else keep_BL

    def encode(
        self, token_BLD: Tensor, position_BL: Tensor, type_BL: Tensor, pad_BL: Tensor
    ) -> Tensor:
        """Return what the transformer makes of each token, output_BLD in (-1, 1)."""
        input_BLD = token_BLD + self.position_embedding(position_BL) + self.type_embedding(type_BL)
        hidden_BLD = self.dropout(self.LayerNorm(input_BLD))
        encoded_BLD = self.encoder(hidden_BLD, src_key_padding_mask=pad_BL)
        output_BLD: Tensor = torch.tanh(self.dense(self.LayerNorm(encoded_BLD)))
        return output_BLD


def grid_rows(history_BHTD: Tensor, present_BH: Tensor, reference_BTD: Tensor) -> TokenRows:
    """Return rows in which every image has a fixed place; absent history is padding."""
    num_images, num_tokens = history_BHTD.shape[1:3]
    type_BI = functional.pad(present_BH.long() * HISTORY, (0, 1), value=REFERENCE)
    type_BL = type_BI.repeat_interleave(num_tokens, dim=1)
    within_T = torch.arange(1, num_tokens + 1, device=history_BHTD.device)
    return TokenRows(
        embed_BLD=torch.cat([history_BHTD.flatten(1, 2), reference_BTD], dim=1),
        position_BL=within_T.repeat(num_images + 1) * (type_BL != PAD),
        type_BL=type_BL,
    )


def keep_top(
    logit_BN: Tensor,
    candidate_BN: Tensor,
    hidden_ratio_B: Tensor,
    gumbel_BN: Tensor | None = None,
    tolerance: float = ROUNDING,
) -> Tensor:
    """Return keep_BN: 1 for the max(1, ⌊n(1−ratio)⌋) best of a row's n candidates, else 0.

    Gumbel noise on the logits makes the choice a sample without replacement. The result is
    exactly 0 or 1 forward and carries the gradient of the softmax backward. A row without
    candidates keeps nothing.
    """
    perturbed_BN = logit_BN if gumbel_BN is None else logit_BN + gumbel_BN
    ranked_BN = perturbed_BN.masked_fill(~candidate_BN, -torch.inf)
    rank_BN = ranked_BN.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    num_keep_B = num_kept(candidate_BN.sum(dim=1), hidden_ratio_B, tolerance)
    hard_BN = ((rank_BN < num_keep_B[:, None]) & candidate_BN).to(logit_BN.dtype)
    soft_BN = keep_probability(logit_BN, candidate_BN)
    return hard_BN + (soft_BN - soft_BN.detach())


def keep_probability(logit_BN: Tensor, candidate_BN: Tensor) -> Tensor:
    """Return the softmax over each row's candidates, 0 elsewhere."""
    lowest = torch.finfo(logit_BN.dtype).min
    masked_BN = logit_BN.masked_fill(~candidate_BN, lowest)
    return torch.softmax(masked_BN, dim=1) * candidate_BN


def released_training_logit(logit_BN: Tensor, candidate_BN: Tensor) -> Tensor:
    """Return ln(1 − softmax), which the released code ranks reference tokens by in training.

    It spans about 1/n, so the Gumbel noise decides and the choice is in effect random.
    """
    log_BN = torch.log1p(-keep_probability(logit_BN, candidate_BN))
    return log_BN.clamp(min=torch.finfo(log_BN.dtype).min)  # a row's only candidate: ln 0


def gumbel_noise(shape: torch.Size | tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard Gumbel noise."""
    uniform = torch.rand(shape, generator=generator)
    return -torch.log(-torch.log(uniform.clamp(MIN_UNIFORM, 1 - 1e-7)))


def num_kept(
    num_candidates_B: Tensor, hidden_ratio_B: Tensor, tolerance: float = ROUNDING
) -> Tensor:
    """Return how many of n tokens are kept: max(1, ⌊n(1−ratio)⌋), 0 of none.

    A ratio in binary can put n(1−ratio) a hair below a whole number, which costs the released
    code one token at 50 of 256 lengths at ratio 0.8; hence the tolerance.
    """
    exact_B = num_candidates_B.double() * (1 - hidden_ratio_B.double())
    floor_B = torch.floor(exact_B + tolerance).long()
    return floor_B.clamp(min=1).minimum(num_candidates_B)


def _grid_noise(
    type_BL: Tensor, num_history: int, generator: torch.Generator | None
) -> Tensor | None:
    """Return noise for grid rows; history and reference are two draws of the generator."""
    if generator is None:
        return None
    num_rows, num_tokens = type_BL.shape
    history_BN = gumbel_noise((num_rows, num_history), generator)
    reference_BN = gumbel_noise((num_rows, num_tokens - num_history), generator)
    return torch.cat([history_BN, reference_BN], dim=1).to(type_BL.device)
