"""Mask generation: decide which history and reference tokens the language model sees.

In:  embeddings of one user's history tokens and of the reference's tokens.
Out: a keep mask for each, 1 for kept and 0 for hidden, with straight-through gradients.
Source: Pigeon, section 3.2. A token's relevance is the cosine between its embedding and what
a small transformer makes of it in the light of all the others. Tensor names in the state
dict are those of the released code.

The masks multiply embeddings, so the gradient of the loss reaches this module; the released
code compares them with zero, and its gradient ends there.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# B rows, H history images, T tokens per image, L all tokens of a row, D width, N tokens ranked

PAD, HISTORY, REFERENCE = 0, 1, 2  # rows of the type embedding
MAX_POSITION = 256  # tokens of one image; positions count from 1
ROUNDING = 1e-4  # tokens; above the error of a float32 ratio at any length, far below one
MIN_UNIFORM = 1e-9  # keeps the logarithm of a uniform draw finite


@dataclass(frozen=True)
class MaskConfig:
    """Sizes and behaviour of the mask generator."""

    num_layers: int = 1
    num_heads: int = 4
    feed_forward: int = 512
    dropout: float = 0.1
    temperature: float = 0.1  # of the relevance before Gumbel noise; lower trusts it more
    history_ratio: float = 0.2  # share of history tokens hidden


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
        relevant are kept, and without a generator the choice is deterministic.
        """
        relevance_BL, is_history_BL = self._relevance(history_BHTD, present_BH, reference_BTD)
        num_images, num_tokens = history_BHTD.shape[1:3]
        num_history = num_images * num_tokens
        history_BN = relevance_BL[:, :num_history]
        reference_BN = relevance_BL[:, num_history:]
        everything = torch.ones_like(reference_BN, dtype=torch.bool)
        direction = -1.0 if self.training else 1.0
        history_ratio_B = torch.full_like(reference_ratio_B, self.config.history_ratio)
        history_keep_BN = keep_top(
            history_BN / self.config.temperature,
            is_history_BL[:, :num_history],
            history_ratio_B,
            generator,
        )
        reference_keep_BN = keep_top(
            direction * reference_BN / self.config.temperature,
            everything,
            reference_ratio_B,
            generator,
        )
        shape = (num_images, num_tokens)
        return KeepMasks(
            history_BHT=history_keep_BN.unflatten(1, shape),
            reference_BT=reference_keep_BN,
            history_relevance_BHT=history_BN.unflatten(1, shape),
            reference_relevance_BT=reference_BN,
        )

    def _relevance(
        self, history_BHTD: Tensor, present_BH: Tensor, reference_BTD: Tensor
    ) -> tuple[Tensor, Tensor]:
        num_rows, num_images, num_tokens, _ = history_BHTD.shape
        token_BLD = torch.cat([history_BHTD.flatten(1, 2), reference_BTD], dim=1)
        is_history_BL = present_BH.repeat_interleave(num_tokens, dim=1)
        is_reference_BL = torch.ones(reference_BTD.shape[:2], dtype=torch.bool).to(
            present_BH.device
        )
        is_real_BL = torch.cat([is_history_BL, is_reference_BL], dim=1)
        within_T = torch.arange(1, num_tokens + 1, device=token_BLD.device)
        position_BL = within_T.repeat(num_images + 1).expand(num_rows, -1)
        type_BL = torch.cat([is_history_BL * HISTORY, is_reference_BL * REFERENCE], dim=1)
        output_BLD = self.encode(token_BLD, position_BL * is_real_BL, type_BL, ~is_real_BL)
        relevance_BL = functional.cosine_similarity(token_BLD, output_BLD, dim=-1)
        return relevance_BL, is_history_BL

    def encode(
        self, token_BLD: Tensor, position_BL: Tensor, type_BL: Tensor, pad_BL: Tensor
    ) -> Tensor:
        """Return what the transformer makes of each token, output_BLD in (-1, 1)."""
        input_BLD = token_BLD + self.position_embedding(position_BL) + self.type_embedding(type_BL)
        hidden_BLD = self.dropout(self.LayerNorm(input_BLD))
        encoded_BLD = self.encoder(hidden_BLD, src_key_padding_mask=pad_BL)
        output_BLD: Tensor = torch.tanh(self.dense(self.LayerNorm(encoded_BLD)))
        return output_BLD


def keep_top(
    logit_BN: Tensor,
    candidate_BN: Tensor,
    hidden_ratio_B: Tensor,
    generator: torch.Generator | None,
) -> Tensor:
    """Return keep_BN: 1 for the max(1, ⌊n(1−ratio)⌋) best of a row's n candidates, else 0.

    With a generator the logits are perturbed by Gumbel noise, which makes the choice a sample
    without replacement. The result is exactly 0 or 1 forward and carries the gradient of the
    softmax backward. A row without candidates keeps nothing.
    """
    masked_BN = logit_BN.masked_fill(~candidate_BN, -torch.inf)
    perturbed_BN = masked_BN
    if generator is not None:
        uniform_BN = torch.rand(logit_BN.shape, generator=generator).to(logit_BN.device)
        gumbel_BN = -torch.log(-torch.log(uniform_BN.clamp(MIN_UNIFORM, 1 - 1e-7)))
        perturbed_BN = masked_BN + gumbel_BN
    rank_BN = perturbed_BN.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    num_keep_B = num_kept(candidate_BN.sum(dim=1), hidden_ratio_B)
    hard_BN = ((rank_BN < num_keep_B[:, None]) & candidate_BN).to(logit_BN.dtype)
    soft_BN = torch.softmax(masked_BN.nan_to_num(neginf=torch.finfo(logit_BN.dtype).min), dim=1)
    soft_BN = soft_BN * candidate_BN
    return hard_BN + (soft_BN - soft_BN.detach())


def num_kept(num_candidates_B: Tensor, hidden_ratio_B: Tensor) -> Tensor:
    """Return how many of n tokens are kept: max(1, ⌊n(1−ratio)⌋), 0 of none.

    A ratio in binary can put n(1−ratio) a hair below a whole number, which costs the released
    code one token at 50 of 256 lengths at ratio 0.8; hence the tolerance.
    """
    exact_B = num_candidates_B.double() * (1 - hidden_ratio_B.double())
    floor_B = torch.floor(exact_B + ROUNDING).long()
    return floor_B.clamp(min=1).minimum(num_candidates_B)
