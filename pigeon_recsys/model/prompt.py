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
from torch.nn.utils.rnn import pad_sequence

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


def stack(parts: Sequence[Part]) -> Part:
    """Return the rows of the parts one below the other."""
    return Part(
        torch.cat([part.embed_BSD for part in parts]),
        torch.cat([part.attend_BS for part in parts]),
    )


def pad_texts(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return text_BL padded on the left, cut to `MAX_TEXT`, and has_text_BL."""
    cut = [torch.tensor(text[:MAX_TEXT], dtype=torch.long) for text in texts]
    length_B = torch.tensor([len(text) for text in cut])
    width = max(1, int(length_B.max()))
    text_BL = pad_sequence([*cut, cut[0].new_zeros(width)], batch_first=True, padding_side="left")[
        :-1
    ]
    has_text_BL = torch.arange(width) >= width - length_B[:, None]
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


def history_part(
    backbone: Backbone, history_BHT: Tensor, present_BH: Tensor, keep_BHT: Tensor | None = None
) -> Part:
    """Return the history's images one after the other."""
    num_rows = len(history_BHT)
    image = image_part(
        backbone,
        history_BHT.flatten(0, 1),
        present_BH.flatten(),
        None if keep_BHT is None else keep_BHT.flatten(0, 1),
    )
    embed_BHSD = image.embed_BSD.unflatten(0, (num_rows, -1))
    attend_BHS = image.attend_BS.unflatten(0, (num_rows, -1))
    return Part(embed_BHSD.flatten(1, 2), attend_BHS.flatten(1, 2))


def written_part(backbone: Backbone, visual_BT: Tensor) -> Part:
    """Return the tokens of an image that have been written so far."""
    return Part(backbone.embed_visual(visual_BT), torch.ones_like(visual_BT, dtype=torch.bool))


def prompt_before_reference(
    backbone: Backbone, batch: PromptBatch, instruction: Instruction, keep_BHT: Tensor | None
) -> Part:
    """Return everything up to `<emb>`; it does not depend on the reference-mask ratio."""
    num_rows = len(batch.present_BH)
    return join(
        [
            marker_part(backbone, "document_start", num_rows),
            words_part(backbone, instruction.before_history, num_rows),
            history_part(backbone, batch.history_BHT, batch.present_BH, keep_BHT),
            words_part(backbone, instruction.before_reference, num_rows),
            Part(backbone.embed_text(batch.text_BL), batch.has_text_BL),
        ]
    )


def prompt_positions(prompt: Part, batch: PromptBatch) -> Tensor:
    """Return position_BS of the prompt's tokens, not counting padding for others' longer texts.

    A row is so counted as it would be alone, and what is written from it does not depend on
    its neighbours.
    """
    num_tokens, num_text = prompt.attend_BS.shape[1], batch.text_BL.shape[1]
    position_S = torch.arange(num_tokens, device=prompt.attend_BS.device)
    padding_B1 = num_text - batch.has_text_BL.sum(dim=1, keepdim=True).clamp(min=1)
    is_text_S = position_S >= num_tokens - num_text
    return position_S - is_text_S * padding_B1
