"""Train the mini backbone's language model on interleaved documents.

In:  windows of pictures that one person liked, with their captions.
Out: a language model that continues such a document with the next picture's tokens.

A large backbone learns this from web pages that mix text and pictures; the mini one learns it
from the liked pictures of training users. Most documents caption every picture, the
rest only the last, which is the shape of Pigeon's prompt without a reference. The loss
counts every picture of a document, so each teaches histories of every length.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens, draw_windows
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train
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
VALIDATION_WINDOWS = 64


def train_backbone(
    backbone: MiniBackbone,
    examples: Examples,
    settings: LoopSettings,
    run: Path,
    batch_size: int,
    instruction: Instruction,
) -> TrainReport:
    """Train the language model in place."""
    items = examples.items

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        window_BW = draw_windows(examples.train, batch_size, generator)
        captioned = bool(torch.rand((), generator=generator) < CAPTION_SHARE)
        keep = torch.rand(batch_size, generator=generator) < 0.5
        keep_share_B = torch.where(keep, KEEP_SHARE, 1.0)
        loss_W = document_loss(
            backbone, items, window_BW, instruction, captioned, keep_share_B, generator
        )
        return {"loss": loss_W.mean(), "last_image_loss": loss_W[-1].detach()}

    def validate() -> dict[str, float]:
        window_BW = examples.validation_sample(VALIDATION_WINDOWS)
        loss_W = document_loss(backbone, items, window_BW, instruction, captioned=False)
        return {"validation_loss": loss_W[-1].item()}

    return train(
        "backbone",
        backbone.language_modules(),
        step_loss,
        settings,
        run,
        validate if len(examples.validation) else None,
    )


def document_loss(
    backbone: MiniBackbone,
    items: ItemTokens,
    window_BW: NDArray[np.int64],
    instruction: Instruction,
    captioned: bool,
    keep_share_B: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return loss_W, the cross-entropy of each place's picture; empty places count nothing."""
    num_rows, num_images = window_BW.shape
    parts = [marker_part(backbone, "document_start", num_rows)]
    if not captioned:
        parts.append(words_part(backbone, instruction.before_history, num_rows))
    starts: list[int] = []
    for place in range(num_images):
        rows = window_BW[:, place]
        if captioned or place == num_images - 1:
            parts.append(words_part(backbone, instruction.before_reference, num_rows))
            parts.append(_caption(backbone, items, rows))
        starts.append(sum(part.attend_BS.shape[1] for part in parts))
        visual_BT, present_B = _pictures(items, rows)
        keep_BT = None
        if keep_share_B is not None:
            draw_BT = torch.rand(visual_BT.shape, generator=generator)
            keep_BT = (draw_BT < keep_share_B[:, None]).float().to(visual_BT.device)
        parts.append(image_part(backbone, visual_BT, present_B, keep_BT))
    document = join(parts)
    hidden_BSD = backbone.hidden(document.embed_BSD, document.attend_BS)
    return torch.stack(
        [
            _picture_loss(backbone, hidden_BSD, start, *_pictures(items, window_BW[:, place]))
            for place, start in enumerate(starts)
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


def _pictures(items: ItemTokens, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    row_B = torch.from_numpy(rows)
    return items.visual_NT[row_B.clamp(min=0)], (row_B != EMPTY).to(items.visual_NT.device)


def _caption(backbone: MiniBackbone, items: ItemTokens, rows: NDArray[np.int64]) -> Part:
    texts = [items.words[row] if row != EMPTY else [] for row in rows]
    text_BL, has_text_BL = pad_texts(texts)
    device = items.visual_NT.device
    return Part(backbone.embed_text(text_BL.to(device)), has_text_BL.to(device))
