"""Mask generation: decide which history and reference tokens the language model sees.

In:  embeddings of one user's history tokens and of the reference's tokens.
Out: a keep mask for each, 1 for kept and 0 for hidden, with straight-through gradients.
Source: Pigeon, section 3.2. A token's relevance is the cosine between its embedding and what
a small transformer makes of it in the light of the others. Tensor names in the state dict are
those of the released code.

Three things are not as in the released code. The masks multiply embeddings, so the gradient of
the loss reaches this module; there they are compared with zero, and the gradient ends. A token is
seen in the light of the other images alone, and its image is judged as a whole beside it: a stray
like agrees with itself. And embeddings are brought to one scale first: positions and types are
some ten times as long, and would hide them. `compatibility="released"` does as that code does,
for weights trained with it.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.gumbel_top_k import (
    ROUNDING,
    gumbel_noise,
    keep_top,
    released_training_logit,
)

# B rows, H history images, T tokens per image, L all tokens of a row, D width, N tokens ranked

PAD, HISTORY, REFERENCE = 0, 1, 2  # rows of the type embedding
MAX_POSITION = 256  # tokens of one image; positions count from 1
TOKEN_SCALE = 3.0  # length of token embeddings against that of positions, which is 0.7
TYPE_SCALE = 0.3  # standard deviation of the type embedding at the start
LIKENESS = 0.3  # of query and key at the start: how much more like tokens attend to each other
FORWARD_SHARE = 0.1  # of the usual weights after attention, at the start
GATHERED = 3.0  # of what attention brings at the start, against the token's own embedding

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
    tokens_per_image: int = 0  # 0 where images differ in length, as those of released weights may


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
        if not config.is_released:
            self._start_with_likeness()

    @torch.no_grad()
    def _start_with_likeness(self) -> None:
        """Let relevance start as likeness: a token against what like tokens elsewhere look like.

        From weights at random that has to be learnt through the loss of the next picture, which
        takes more steps than all the rest of stage 1.
        """
        layer, eye = self.encoder.layers[-1], torch.eye(self.dense.in_features)
        assert isinstance(layer, nn.TransformerEncoderLayer)
        nn.init.normal_(self.type_embedding.weight, std=TYPE_SCALE)
        layer.self_attn.in_proj_weight.copy_(torch.cat([LIKENESS * eye, LIKENESS * eye, eye]))
        layer.self_attn.out_proj.weight.copy_(GATHERED * eye)
        layer.linear2.weight.mul_(FORWARD_SHARE)
        self.dense.weight.copy_(eye)
        for bias in (layer.self_attn.in_proj_bias, layer.self_attn.out_proj.bias):
            bias.zero_()
        for linear in (layer.linear2, self.dense):
            linear.bias.zero_()

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
        """Return relevance_BL: what the other images tell of each token and of its image.

        The cosine of a token with what the transformer makes of it, plus the cosine of the means
        of both over the token's image.
        """
        layout, pad_BL = (rows.position_BL, rows.type_BL), rows.type_BL == PAD
        if self.config.is_released:
            output_BLD = self.encode(rows.embed_BLD, *layout, pad_BL)
            return functional.cosine_similarity(rows.embed_BLD, output_BLD, dim=-1)
        token_BLD = functional.rms_norm(rows.embed_BLD, rows.embed_BLD.shape[-1:])
        own_LL = same_image(rows).to(token_BLD.device)
        output_BLD = self.encode(TOKEN_SCALE * token_BLD, *layout, pad_BL, own_LL)
        num_tokens = rows.tokens_per_image
        token_BL = functional.cosine_similarity(token_BLD, output_BLD, dim=-1)
        image_BI = functional.cosine_similarity(
            token_BLD.unflatten(1, (-1, num_tokens)).mean(dim=2),
            output_BLD.unflatten(1, (-1, num_tokens)).mean(dim=2),
            dim=-1,
        )
        return token_BL + image_BI.repeat_interleave(num_tokens, dim=1)

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
        self,
        token_BLD: Tensor,
        position_BL: Tensor,
        type_BL: Tensor,
        pad_BL: Tensor,
        hidden_LL: Tensor | None = None,
    ) -> Tensor:
        """Return what the transformer makes of each token, output_BLD in (-1, 1).

        `hidden_LL` says which tokens (columns) each token may not see.
        """
        input_BLD = token_BLD + self.position_embedding(position_BL) + self.type_embedding(type_BL)
        hidden_BLD = self.dropout(self.LayerNorm(input_BLD))
        encoded_BLD = self.encoder(hidden_BLD, hidden_LL, pad_BL)
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
        tokens_per_image=num_tokens,
    )


def same_image(rows: TokenRows) -> Tensor:
    """Return own_LL: whether two tokens are of one image; a token is not told apart from itself.

    So a row whose only image has nothing else to look at still sees something.
    """
    image_L = torch.arange(rows.type_BL.shape[1]) // rows.tokens_per_image
    return (image_L[:, None] == image_L) & ~torch.eye(len(image_L), dtype=torch.bool)


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
