"""Stage 1, masked preference reconstruction.

In:  windows of six liked images of training users, and a trained backbone.
Out: trained mask generator, reference embedding and LoRA adapters.

Five images are the history; the sixth is both the reference, masked by a ratio drawn from
U(0, 1), and the target. Source: Pigeon, section 3.4.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pigeon_recsys.alignment.examples import ItemTokens, draw_windows, reconstruction_batch
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train
from pigeon_recsys.model.pigeon import Pigeon

VALIDATION_WINDOWS = 64
VALIDATION_RATIO = 0.5
TEXT_SHARE = 0.9  # of windows whose reference comes with its words


def train_stage1(
    pigeon: Pigeon,
    items: ItemTokens,
    windows: NDArray[np.int64],
    validation: NDArray[np.int64],
    settings: LoopSettings,
    run: Path,
    batch_size: int,
) -> TrainReport:
    """Train Pigeon's own weights in place; the backbone's stay as they are."""

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        window_BW = draw_windows(windows, batch_size, generator)
        with_text_B = torch.rand(batch_size, generator=generator) < TEXT_SHARE
        batch, target_BT = reconstruction_batch(items, window_BW, with_text_B)
        ratio_B = torch.rand(batch_size, generator=generator)
        return {"loss": pigeon.reconstruction_loss(batch, target_BT, ratio_B, generator)}

    def validate() -> dict[str, float]:
        batch, target_BT = reconstruction_batch(items, validation[:VALIDATION_WINDOWS])
        ratio_B = torch.full((len(target_BT),), VALIDATION_RATIO)
        loss = pigeon.reconstruction_loss(batch, target_BT, ratio_B, generator=None)
        return {"validation_loss": loss.item()}

    return train("stage1", pigeon, step_loss, settings, run, validate)
