"""The prompt as one tensor: instruction, masked history, reference text, `<emb>`.

In:  a batch of prompts as ids and flags.
Out: input embeddings and an attention mask, the same layout for every row.

    document_start | words | H x (image_start, T tokens, image_end) | words, text | <emb>

Every part has a fixed place. What a row lacks (a history image, some words, the reference)
is not attended to, so that rows never depend on their neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.history.instruction import Instruction

# B rows, H history images, T tokens per image, L text tokens, S tokens of a part, D width

MAX_TEXT = 48  # text tokens of a reference; the rest is cut


@dataclass(frozen=True)
class PromptBatch:
    """A batch of prompts. History is oldest first; empty places come before the oldest."""

    history_BHT: Tensor  # visual ids; anything where not present
    present_BH: Tensor  # whether a history place holds an image
    text_BL: Tensor  # text ids of the reference's words, padded on the left
    has_text_BL: Tensor
    reference_BT: Tensor  # visual ids; anything where the reference has no image
    has_reference_B: Tensor


@dataclass(frozen=True)
class Part:
    """Embeddings of a stretch of the sequence and which of them may be attended to."""

    embed_BSD: Tensor
    attend_BS: Tensor


def join(parts: Sequence[Part]) -> Part:
    """Return the parts one after the other."""
    return Part(
        torch.cat([part.embed_BSD for part in parts], dim=1),
        torch.cat([part.attend_BS for part in parts], dim=1),
    )


def pad_texts(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return text_BL padded on the left, cut to `MAX_TEXT`, and has_text_BL."""
    width = max(1, *(min(len(text), MAX_TEXT) for text in texts))
    text_BL = torch.zeros(len(texts), width, dtype=torch.long)
    has_text_BL = torch.zeros(len(texts), width, dtype=torch.bool)
    for row, text in enumerate(texts):
        cut = list(text)[:MAX_TEXT]
        if cut:
            text_BL[row, -len(cut) :] = torch.tensor(cut)
            has_text_BL[row, -len(cut) :] = True
    return text_BL, has_text_BL


def marker_part(backbone: Backbone, name: str, num_rows: int) -> Part:
    """Return one marker for every row."""
    embed_BSD = backbone.marker(name).expand(num_rows, 1, -1)
    return Part(embed_BSD, torch.ones(num_rows, 1, dtype=torch.bool, device=embed_BSD.device))


def words_part(backbone: Backbone, words: str, num_rows: int) -> Part:
    """Return fixed words for every row."""
    device = backbone.marker("document_start").device
    text_S = torch.tensor(backbone.tokenize_text(words), dtype=torch.long, device=device)
    embed_SD = backbone.embed_text(text_S)
    attend_BS = torch.ones(num_rows, len(text_S), dtype=torch.bool, device=device)
    return Part(embed_SD.expand(num_rows, -1, -1), attend_BS)


def image_part(
    backbone: Backbone, visual_BT: Tensor, present_B: Tensor, keep_BT: Tensor | None = None
) -> Part:
    """Return image_start, the tokens, image_end; tokens not kept become zero vectors."""
    token_BTD = backbone.embed_visual(visual_BT)
    if keep_BT is not None:
        token_BTD = token_BTD * keep_BT[..., None]
    num_rows, num_tokens, _ = token_BTD.shape
    start = backbone.marker("image_start").expand(num_rows, 1, -1)
    end = backbone.marker("image_end").expand(num_rows, 1, -1)
    attend_BS = present_B[:, None].expand(num_rows, num_tokens + 2)
    return Part(torch.cat([start, token_BTD, end], dim=1), attend_BS)


def prompt_before_reference(
    backbone: Backbone, batch: PromptBatch, instruction: Instruction, keep_BHT: Tensor | None
) -> Part:
    """Return everything up to `<emb>`; it does not depend on the reference-mask ratio."""
    num_rows, num_images = batch.present_BH.shape
    images = [
        image_part(
            backbone,
            batch.history_BHT[:, place],
            batch.present_BH[:, place],
            None if keep_BHT is None else keep_BHT[:, place],
        )
        for place in range(num_images)
    ]
    return join(
        [
            marker_part(backbone, "document_start", num_rows),
            words_part(backbone, instruction.before_history, num_rows),
            *images,
            words_part(backbone, instruction.before_reference, num_rows),
            Part(backbone.embed_text(batch.text_BL), batch.has_text_BL),
        ]
    )
