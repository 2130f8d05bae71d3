"""Train the mini backbone's language model on documents of liked pictures.

In:  windows of pictures that one person liked, with their captions.
Out: a language model that continues such a document with the next picture's tokens.

A large backbone learns this from web pages that mix text and pictures; the mini one learns it
from the liked pictures of training users. Where references are to stand in the prompt as pictures,
it learns from documents in the shape of requests; elsewhere from likes with their captions, where
the loss counts every picture, so that each document teaches histories of every length.
"""

from pathlib import Path

import torch
from torch import Tensor

from pigeon_recsys.alignment.documents import Documents, document_loss, draw_documents
from pigeon_recsys.alignment.examples import Examples
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, draw_generator, train
from pigeon_recsys.alignment.request_documents import draw_requests, plain_requests, request_loss
from pigeon_recsys.alignment.sample_sheet import backbone_sheet
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
    """Train the language model in place; examples that tell same content make requests."""
    items = examples.items
    asks = examples.same is not None

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        if asks:
            requests = draw_requests(examples, batch_size, generator)
            loss_BA = request_loss(backbone, items, requests, instruction, generator)
            return {"loss": loss_BA.mean()}
        documents = draw_documents(examples, batch_size, generator)
        loss_W = document_loss(backbone, items, documents, instruction, generator)
        return {"loss": loss_W.mean(), "last_image_loss": loss_W[-1].detach()}

    def validate() -> dict[str, float]:
        window_BW = examples.validation_sample(VALIDATION_WINDOWS)
        if asks:
            generator = draw_generator(settings.seed, 0)
            requests = plain_requests(examples, window_BW, generator)
            loss_BA = request_loss(backbone, items, requests, instruction, generator)
            return {"validation_loss": loss_BA.mean().item()}
        documents = Documents(window_BW, captioned=False)
        return {
            "validation_loss": document_loss(backbone, items, documents, instruction)[-1].item()
        }

    has_validation = len(examples.validation) > 0
    return train(
        "backbone",
        backbone.language_modules(),
        step_loss,
        settings,
        run,
        validate if has_validation else None,
        (lambda: backbone_sheet(backbone, examples, instruction)) if has_validation else None,
    )
