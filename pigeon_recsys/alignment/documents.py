"""Interleaved documents: what the mini backbone's language model learns from.

In:  windows of pictures that one person liked, with their captions.
Out: the cross-entropy of each picture of such a document.

    captioned      document_start | W x (words, caption, [reference], picture)
    not captioned  document_start | words | (W - 1) x picture | words, caption, [reference], picture

The second is the shape of Pigeon's prompt. Where the data knows other pictures of the same
content, some places show one of them, the reference, before the picture that counts: so the
model learns to draw what a reference shows in the history's way. Half of these are masked by a
ratio drawn from U(0, 1), as references will be. Half come without words: where words always tell
the content, the model learns its pictures by heart and never looks at the reference
(`benchmarks/LOG.md`).
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
WHOLE_REFERENCES = 0.5  # share of rows whose references are shown without a mask
WORDLESS_SHARE = 0.5  # of pictures with a reference whose words are left out
REFERENCE_SHARE = 0.75  # of places that may show another picture of the same content


@dataclass(frozen=True)
class Documents:
    """A batch of documents, one a row; item rows stand for pictures."""

    window_BW: NDArray[np.int64]
    captioned: bool
    keep_share_B: Tensor | None = None  # of each row's tokens; all where None
    reference_BW: NDArray[np.int64] | None = None  # `EMPTY` where a place shows none
    reference_keep_B: Tensor | None = None  # share of each row's reference tokens
    wordless_BW: NDArray[np.bool_] | None = None  # places that leave a picture's words out

    def named(self, place: int) -> NDArray[np.int64]:
        """Return the rows whose words stand before a place's pictures; `EMPTY` for no words."""
        rows = self.window_BW[:, place]
        return (
            rows if self.wordless_BW is None else np.where(self.wordless_BW[:, place], EMPTY, rows)
        )


def draw_documents(examples: Examples, batch_size: int, generator: torch.Generator) -> Documents:
    """Return a batch as the language model is trained on."""
    window_BW = draw_windows(examples.train, batch_size, generator)
    captioned = bool(torch.rand((), generator=generator) < CAPTION_SHARE)
    keep = torch.rand(batch_size, generator=generator) < 0.5
    keep_share_B = torch.where(keep, KEEP_SHARE, 1.0)
    reference_BW = draw_references(examples, window_BW, generator, every_place=captioned)
    view_B = examples.items.draw_view(batch_size, generator)
    window_BW = examples.items.seen(window_BW, view_B)
    if reference_BW is None:
        return Documents(window_BW, captioned, keep_share_B)
    reference_BW = examples.items.seen(reference_BW, view_B)
    whole_B = torch.rand(batch_size, generator=generator) < WHOLE_REFERENCES
    ratio_B = torch.rand(batch_size, generator=generator)
    reference_keep_B = torch.where(whole_B, 1.0, 1 - ratio_B)
    wordless_BW = torch.rand(window_BW.shape, generator=generator).numpy() < WORDLESS_SHARE
    wordless_BW &= reference_BW != EMPTY
    return Documents(
        window_BW, captioned, keep_share_B, reference_BW, reference_keep_B, wordless_BW
    )


def draw_references(
    examples: Examples,
    window_BW: NDArray[np.int64],
    generator: torch.Generator,
    *,
    every_place: bool,
    share: float = REFERENCE_SHARE,
) -> NDArray[np.int64] | None:
    """Return reference_BW: another picture of the content for a share of the places, or `EMPTY`.

    Either all rows show a reference at a place or none does, so that none is padding. Unless
    every place may have one, only the last may.
    """
    if examples.same is None:
        return None
    reference_BW = np.full_like(window_BW, EMPTY)
    last = window_BW.shape[1] - 1
    for place in range(0 if every_place else last, last + 1):
        if torch.rand((), generator=generator) < share:
            rows = window_BW[:, place]
            drawn = examples.same.draw(rows.clip(min=0), generator)
            reference_BW[:, place] = np.where(rows == EMPTY, EMPTY, drawn)
    return reference_BW


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
            parts.append(_caption(backbone, items, documents.named(place)))
        reference_B = None if documents.reference_BW is None else documents.reference_BW[:, place]
        if reference_B is not None and (reference_B != EMPTY).any():
            parts.append(
                _picture(backbone, items, reference_B, documents.reference_keep_B, generator)
            )
        starts.append(sum(part.attend_BS.shape[1] for part in parts))
        parts.append(_picture(backbone, items, rows, documents.keep_share_B, generator))
    document = join(parts)
    hidden_BSD = backbone.hidden(document.embed_BSD, document.attend_BS)
    columns = documents.window_BW.T
    return torch.stack(
        [
            _picture_loss(backbone, hidden_BSD, start, *_pictures(items, rows))
            for start, rows in zip(starts, columns, strict=True)
        ]
    )


def _picture_loss(
    backbone: MiniBackbone, hidden_BSD: Tensor, start: int, visual_BT: Tensor, present_B: Tensor
) -> Tensor:
    """Return the loss of the picture whose image_start stands at `start`."""
    logit_BTV = backbone.visual_logits(hidden_BSD[:, start : start + visual_BT.shape[1]])
    label_BT = visual_BT.masked_fill(~present_B[:, None], -100)
    if not present_B.any():
        return logit_BTV.sum() * 0.0
    return functional.cross_entropy(logit_BTV.flatten(0, 1), label_BT.flatten())


def _picture(
    backbone: MiniBackbone,
    items: ItemTokens,
    rows: NDArray[np.int64],
    keep_share_B: Tensor | None,
    generator: torch.Generator | None,
) -> Part:
    visual_BT, present_B = _pictures(items, rows)
    keep_BT = None
    if keep_share_B is not None:
        draw_BT = torch.rand(visual_BT.shape, generator=generator)
        keep_BT = (draw_BT < keep_share_B[:, None]).float().to(visual_BT.device)
    return image_part(backbone, visual_BT, present_B, keep_BT)


def _pictures(items: ItemTokens, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    row_B = torch.from_numpy(rows)
    return items.visual_NT[row_B.clamp(min=0)], (row_B != EMPTY).to(items.visual_NT.device)


def _caption(backbone: MiniBackbone, items: ItemTokens, rows: NDArray[np.int64]) -> Part:
    texts = [items.words[row] if row != EMPTY else [] for row in rows]
    text_BL, has_text_BL = pad_texts(texts)
    device = items.visual_NT.device
    return Part(backbone.embed_text(text_BL.to(device)), has_text_BL.to(device))
