"""Train the mini backbone's language model on interleaved documents.

In:  windows of pictures that one person liked, with their captions.
Out: a language model that continues such a document with the next picture's tokens.

A large backbone learns this from web pages that mix text and pictures; the mini one learns it
from the liked pictures of training users. Most documents caption every picture, the
rest only the last, which is the shape of Pigeon's prompt. The loss counts every picture of a
document, so each teaches histories of every length.
"""

from pathlib import Path

import torch
from torch import Tensor

from pigeon_recsys.alignment.documents import (
    Documents,
    document_loss,
    draw_documents,
    draw_references,
)
from pigeon_recsys.alignment.examples import Examples
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, draw_generator, train
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.history.instruction import Instruction

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
        documents = draw_documents(examples, batch_size, generator)
        loss_W = document_loss(backbone, items, documents, instruction, generator)
        return {"loss": loss_W.mean(), "last_image_loss": loss_W[-1].detach()}

    def validate() -> dict[str, float]:
        window_BW = examples.validation_sample(VALIDATION_WINDOWS)
        generator = draw_generator(settings.seed, 0)
        reference_BW = draw_references(examples, window_BW, generator, every_place=False, share=1.0)
        documents = Documents(window_BW, captioned=False, reference_BW=reference_BW)
        loss_W = document_loss(backbone, items, documents, instruction)
        return {"validation_loss": loss_W[-1].item()}

    return train(
        "backbone",
        backbone.language_modules(),
        step_loss,
        settings,
        run,
        validate if len(examples.validation) else None,
    )
