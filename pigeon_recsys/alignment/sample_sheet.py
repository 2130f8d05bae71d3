"""What a stage makes of a few validation windows, to be looked at while it trains.

In:  the model as it is, windows or pairs of users never trained on.
Out: columns of pictures, a row a window: what should be made, and what is.

Every draw follows from the row's number, so that the sheets of a run differ by what was learnt
between them and by nothing else.
"""

import numpy as np
import torch
from torch import Tensor

from pigeon_recsys.alignment.examples import (
    WINDOW,
    Examples,
    ItemTokens,
    reconstruction_batch,
    spread,
)
from pigeon_recsys.alignment.loop import draw_generator
from pigeon_recsys.alignment.pairs import PairTable
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.backbones.pixel_range import to_pixels
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.decode import Opening, write_tokens
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.model.prompt import (
    PromptBatch,
    image_part,
    join,
    marker_part,
    prompt_before_reference,
    prompt_positions,
)
from pigeon_recsys.model.sampling import Sampling
from pigeon_recsys.records import Pixels

# B rows, T tokens per image

NUM_SAMPLES = 4  # rows of a sheet
SAMPLE_RATIO = 0.5  # of reference tokens hidden
SAMPLE_SEED = 0
SAMPLE_STEPS = 4  # of the refiner


def backbone_sheet(
    backbone: Backbone, examples: Examples, instruction: Instruction
) -> list[Pixels]:
    """Return targets, and what the language model writes by itself after each history.

    Pictures are soft: the refiner joins the backbone when the language model is trained. Where
    the model learns from requests, half of a reference is in the prompt.
    """
    batch, target_BT = _batch(examples)
    prompt = prompt_before_reference(backbone, batch, instruction, None)
    lanes = [marker_part(backbone, "image_start", len(target_BT))]
    if examples.same is not None:
        draw_BT = torch.rand(target_BT.shape, generator=draw_generator(SAMPLE_SEED, 1))
        keep_BT = (draw_BT >= SAMPLE_RATIO).float().to(target_BT.device)
        reference = image_part(backbone, batch.reference_BT, batch.has_reference_B, keep_BT)
        lanes.insert(0, reference)
    opening = Opening(prompt, prompt_positions(prompt, batch), join(lanes))
    written_BRT = write_tokens(backbone, opening, Sampling(), _generators(target_BT))
    return _painted(backbone, [target_BT, written_BRT[:, 0]], steps=0)


def pigeon_sheet(pigeon: Pigeon, examples: Examples) -> list[Pixels]:
    """Return targets, and what Pigeon makes of each window."""
    batch, target_BT = _batch(examples)
    return _beside_pigeons(pigeon, batch, [target_BT])


def pair_sheet(pigeon: Pigeon, items: ItemTokens, pairs: PairTable) -> list[Pixels]:
    """Return chosen and rejected pictures, and what Pigeon makes of the same requests."""
    some = pairs.rows(spread(np.arange(len(pairs)), NUM_SAMPLES))
    batch, _ = reconstruction_batch(items, some.window_PW)
    device = items.visual_NT.device
    return _beside_pigeons(pigeon, batch, [some.chosen_PT.to(device), some.rejected_PT.to(device)])


def _batch(examples: Examples) -> tuple[PromptBatch, Tensor]:
    """Return the prompts of a few validation windows, cut to Pigeon's length, and target_BT."""
    window_BW = examples.validation_sample(NUM_SAMPLES)[:, -WINDOW:]
    reference_B = examples.references(window_BW[:, -1], draw_generator(SAMPLE_SEED, 0))
    return reconstruction_batch(examples.items, window_BW, reference_B=reference_B)


def _beside_pigeons(pigeon: Pigeon, batch: PromptBatch, shown: list[Tensor]) -> list[Pixels]:
    ratio_BR = torch.full((len(shown[0]), 1), SAMPLE_RATIO, device=shown[0].device)
    written = pigeon.write(batch, ratio_BR, Sampling(), _generators(shown[0]))
    return _painted(pigeon.backbone, [*shown, written.visual_BRT[:, 0]], SAMPLE_STEPS)


def _painted(backbone: Backbone, columns: list[Tensor], steps: int) -> list[Pixels]:
    generators = _generators(columns[0])
    return [to_pixels(backbone.detokenize(visual_BT, steps, generators)) for visual_BT in columns]


def _generators(visual_BT: Tensor) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(row) for row in range(len(visual_BT))]
