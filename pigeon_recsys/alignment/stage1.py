"""Stage 1, masked preference reconstruction.

In:  windows of six liked images of training users, and a trained backbone.
Out: trained mask generator, reference embedding and LoRA adapters.

Five images are the history; the sixth is both the reference, masked by a ratio drawn from
U(0, 1), and the target. Source: Pigeon, section 3.4. Where the data knows other pictures of the
target's content, one of these is the reference of most windows.
"""

from pathlib import Path

import torch
from torch import Tensor

from pigeon_recsys.alignment.examples import Examples, draw_windows, reconstruction_batch
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, draw_generator, train
from pigeon_recsys.alignment.sample_sheet import pigeon_sheet
from pigeon_recsys.model.pigeon import Pigeon

# B rows, W window length, T tokens per image

VALIDATION_WINDOWS = 64
VALIDATION_RATIO = 0.5
OWN_REFERENCE_SHARE = 0.25  # of windows, where other pictures show the target's content too
TEXT_SHARE = 0.9  # of windows whose reference comes with its words


def train_stage1(
    pigeon: Pigeon, examples: Examples, settings: LoopSettings, run: Path, batch_size: int
) -> TrainReport:
    """Train Pigeon's own weights in place; the backbone's stay as they are."""
    items = examples.items
    device = items.visual_NT.device

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        window_BW = draw_windows(examples.train, batch_size, generator)
        with_text_B = torch.rand(batch_size, generator=generator) < TEXT_SHARE
        reference_B = examples.references(
            window_BW[:, -1], generator, own_share=OWN_REFERENCE_SHARE
        )
        view_B = items.draw_view(batch_size, generator)
        window_BW = items.seen(window_BW, view_B)
        if reference_B is not None:
            reference_B = items.seen(reference_B, view_B)
        batch, target_BT = reconstruction_batch(items, window_BW, with_text_B, reference_B)
        ratio_B = torch.rand(batch_size, generator=generator).to(device)
        return {"loss": pigeon.reconstruction_loss(batch, target_BT, ratio_B, generator)}

    def validate() -> dict[str, float]:
        window_BW = examples.validation_sample(VALIDATION_WINDOWS)
        reference_B = examples.references(window_BW[:, -1], draw_generator(settings.seed, 0))
        batch, target_BT = reconstruction_batch(items, window_BW, reference_B=reference_B)
        ratio_B = torch.full((len(target_BT),), VALIDATION_RATIO, device=device)
        is_random = pigeon.config.mask.kind == "random"  # only that ablation draws here
        generator = torch.Generator().manual_seed(settings.seed) if is_random else None
        loss = pigeon.reconstruction_loss(batch, target_BT, ratio_B, generator)
        return {"validation_loss": loss.item()}

    has_validation = len(examples.validation) > 0
    return train(
        "stage1",
        pigeon,
        step_loss,
        settings,
        run,
        validate if has_validation else None,
        (lambda: pigeon_sheet(pigeon, examples)) if has_validation else None,
    )
