"""Masks as the released code draws them, over images of any length.

In:  a batch's history and reference images as ids.
Out: the same with hidden tokens marked.

The decisions are `MaskGenerator`'s own, with `MaskConfig(compatibility="released",
temperature=1, feed_forward=2048)`; this file only lays the tokens out. As in that code the
reference stands between image start and end, which can be hidden like any token, and its
random mask hides tokens of the reference alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pigeon_recsys.model.gumbel_top_k import keep_top
from pigeon_recsys.model.mask import (
    HISTORY,
    PAD,
    REFERENCE,
    MaskConfig,
    MaskGenerator,
    TokenRows,
)
from pigeon_recsys.model.released_tokens import PAD_ID, ImageTokens

# B rows, I images of a row, N tokens of the whole batch, L tokens of a row, D width

RELEASED_MASK = MaskConfig(feed_forward=2048, temperature=1.0, compatibility="released")


@dataclass(frozen=True)
class MaskedImages:
    """History and reference after masking, and the row-wise decision behind them."""

    history: ImageTokens
    reference: ImageTokens
    relevance_BL: Tensor  # history tokens, then reference tokens, then padding
    keep_BL: Tensor


def mask_images(
    mask_generator: MaskGenerator,
    token_embedding: nn.Embedding,
    history: ImageTokens,
    reference: ImageTokens,
    reference_ratio_B: Tensor,
    gumbel_BL: Tensor | None,
) -> MaskedImages:
    """Mask a batch mutually; `history` comes without markers, `reference` with them."""
    together = history.joined(reference)
    rows = token_rows(together, token_embedding)
    relevance_BL = mask_generator.relevance(rows)
    keep_BL = mask_generator.keep(relevance_BL, rows.type_BL, reference_ratio_B, gumbel_BL)
    return MaskedImages(
        history=history.hidden(keep_BL[rows.type_BL == HISTORY]),
        reference=reference.hidden(keep_BL[rows.type_BL == REFERENCE]),
        relevance_BL=relevance_BL,
        keep_BL=keep_BL,
    )


def token_rows(together: ImageTokens, token_embedding: nn.Embedding) -> TokenRows:
    """Return the mask generator's input; the last image of each row is the reference."""
    num_images = together.length_BI.shape[1]
    is_reference_N = together.image_N % num_images == num_images - 1
    type_N = torch.where(is_reference_N, REFERENCE, HISTORY)
    return TokenRows(
        embed_BLD=token_embedding(together.rows(together.id_N, PAD_ID)),
        position_BL=together.rows(together.within_N + 1, 0),
        type_BL=together.rows(type_N, PAD),
    )


def mask_at_random(
    reference: ImageTokens, reference_ratio_B: Tensor, gumbel_BL: Tensor
) -> ImageTokens:
    """Hide tokens of the reference whichever, as many as the trained mask hides."""
    is_token_BL = reference.rows(torch.ones_like(reference.id_N), 0).bool()
    keep_BL = keep_top(
        torch.zeros_like(gumbel_BL), is_token_BL, reference_ratio_B, gumbel_BL, tolerance=0.0
    )
    return reference.hidden(keep_BL[is_token_BL])
