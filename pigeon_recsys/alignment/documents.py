"""Interleaved documents: what the mini backbone's language model learns from.

In:  windows of pictures that one person liked, with their captions.
Out: the cross-entropy of each picture of such a document.

    captioned      document_start | W x (words, caption, picture)
    not captioned  document_start | words | (W - 1) x picture | words, caption, picture

The second is the shape of Pigeon's prompt. Where references stand in the prompt as pictures, the
model learns from `request_documents.py` instead.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens, draw_windows
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.prompt import (
    Part,
    image_part,
    join,
    marker_part,
    pad_texts,
    words_part,
)

# B rows, W window length, T tokens per image, S tokens of a part, V visual ids

CAPTION_SHARE = 0.75  # of documents with a caption before every picture
KEEP_SHARE = 0.85  # of a picture's input tokens; the rest are zero, as masked tokens will be


@dataclass(frozen=True)
class Documents:
    """A batch of documents, one a row; item rows stand for pictures."""

    window_BW: NDArray[np.int64]
    captioned: bool
    keep_share_B: Tensor | None = None  # of each row's tokens; all where None


def draw_documents(examples: Examples, batch_size: int, generator: torch.Generator) -> Documents:
    """Return a batch as the language model is trained on."""
    window_BW = draw_windows(examples.train, batch_size, generator)
    captioned = bool(torch.rand((), generator=generator) < CAPTION_SHARE)
    keep = torch.rand(batch_size, generator=generator) < 0.5
    keep_share_B = torch.where(keep, KEEP_SHARE, 1.0)
    view_B = examples.items.draw_view(batch_size, generator)
    return Documents(examples.items.seen(window_BW, view_B), captioned, keep_share_B)


def document_loss(
    backbone: MiniBackbone,
    items: ItemTokens,
    documents: Documents,
    instruction: Instruction,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return loss_W, the cross-entropy of each place's picture; empty places count nothing."""
    num_rows, num_places = documents.window_BW.shape
    parts = [marker_part(backbone, "document_start", num_rows)]
    if not documents.captioned:
        parts.append(words_part(backbone, instruction.before_history, num_rows))
    starts: list[int] = []
    for place in range(num_places):
        rows = documents.window_BW[:, place]
        if documents.captioned or place == num_places - 1:
            parts.append(words_part(backbone, instruction.before_reference, num_rows))
            parts.append(caption_part(backbone, items, rows))
        starts.append(sum(part.attend_BS.shape[1] for part in parts))
        parts.append(_picture(backbone, items, rows, documents.keep_share_B, generator))
    document = join(parts)
    hidden_BSD = backbone.hidden(document.embed_BSD, document.attend_BS)
    num_tokens = items.visual_NT.shape[1]
    return torch.stack(
        [
            _picture_loss(
                backbone, hidden_BSD[:, start : start + num_tokens], *pictures(items, rows)
            )
            for start, rows in zip(starts, documents.window_BW.T, strict=True)
        ]
    )


def _picture_loss(
    backbone: MiniBackbone, hidden_BTD: Tensor, visual_BT: Tensor, present_B: Tensor
) -> Tensor:
    """Return the mean loss of the pictures present; hidden_BTD is what writes each token."""
    logit_BTV = backbone.visual_logits(hidden_BTD)
    label_BT = visual_BT.masked_fill(~present_B[:, None], -100)
    if not present_B.any():
        return logit_BTV.sum() * 0.0
    return functional.cross_entropy(logit_BTV.flatten(0, 1), label_BT.flatten())


def pictures(items: ItemTokens, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Return the visual ids of item rows, (..., T), and which of the rows hold a picture."""
    row = torch.from_numpy(rows)
    return items.visual_NT[row.clamp(min=0)], (row != EMPTY).to(items.visual_NT.device)


def caption_part(backbone: MiniBackbone, items: ItemTokens, rows: NDArray[np.int64]) -> Part:
    """Return the words of items; none for `EMPTY`."""
    texts = [items.words[row] if row != EMPTY else [] for row in rows]
    text_BL, has_text_BL = pad_texts(texts)
    device = items.visual_NT.device
    return Part(backbone.embed_text(text_BL.to(device)), has_text_BL.to(device))


def _picture(
    backbone: MiniBackbone,
    items: ItemTokens,
    rows: NDArray[np.int64],
    keep_share_B: Tensor | None,
    generator: torch.Generator | None,
) -> Part:
    visual_BT, present_B = pictures(items, rows)
    keep_BT = None
    if keep_share_B is not None:
        draw_BT = torch.rand(visual_BT.shape, generator=generator)
        keep_BT = (draw_BT < keep_share_B[:, None]).float().to(visual_BT.device)
    return image_part(backbone, visual_BT, present_B, keep_BT)
