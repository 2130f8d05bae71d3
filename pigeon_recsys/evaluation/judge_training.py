"""Train the judge on freshly drawn stickers, and say how far it can be trusted.

In:  a number of steps and a seed; no dataset, no world, no other model.
Out: `judge.safetensors` and `judge.json` (accuracy by factor, on clean and worn pictures).
"""

import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253 - training is torch from end to end; the command imports this late
from torch import Tensor, nn  # noqa: TID253

from pigeon_recsys.alignment.loop import LoopSettings, train
from pigeon_recsys.backbones.weights import save_weights
from pigeon_recsys.datasets.sticker_drawing import FACTORS, Sticker
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.factor_judge import SHEET_FILE, WEIGHTS_FILE, FactorJudge
from pigeon_recsys.evaluation.factor_network import INPUT_SIZE, FactorNetwork, to_batch
from pigeon_recsys.evaluation.judge_pictures import draw_examples, judge_stream, worn
from pigeon_recsys.files import check_writable_folder, write_text_atomic
from pigeon_recsys.records import Pixels

# B pictures

DEFAULT_STEPS = 300
NUM_TRAINING = 4000  # pictures
NUM_HELD_OUT = 1000  # pictures
BATCH = 64
CLEAN_SHARE = 0.25  # of training pictures that are shown as drawn
LEARNING_RATE = 3e-3
TRAINING, HELD_OUT, WEAR, BATCHES = range(4)  # streams inside a seed


def train_judge(out: Path, *, steps: int = DEFAULT_STEPS, seed: int = 0) -> dict[str, Any]:
    """Train a judge, write it into folder `out` and return its sheet, also written there."""
    if steps < 1:
        raise SettingsError(
            f"the judge's steps must be at least 1, got {steps}. Use {DEFAULT_STEPS}."
        )
    check_writable_folder(out)
    stickers, pictures = draw_examples(NUM_TRAINING, INPUT_SIZE, judge_stream(seed, TRAINING))
    targets = codes_by_factor(stickers)
    torch.manual_seed(seed)
    network = FactorNetwork()

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        picked = torch.randint(len(pictures), (BATCH,), generator=generator)
        draw = int(torch.randint(2**31, (1,), generator=generator))
        rng = judge_stream(seed, BATCHES, draw)
        shown = [
            pictures[place] if rng.random() < CLEAN_SHARE else worn(pictures[place], rng)
            for place in picked.tolist()
        ]
        logits = network(to_batch(torch.from_numpy(np.stack(shown))))
        losses = [
            nn.functional.cross_entropy(logits[factor], targets[factor][picked])
            for factor in FACTORS
        ]
        return {"loss": torch.stack(losses).mean()}

    settings = LoopSettings(steps=steps, learning_rate=LEARNING_RATE, seed=seed)
    with tempfile.TemporaryDirectory() as run:
        report = train("judge", network, step_loss, settings, Path(run))
    save_weights(out / WEIGHTS_FILE, network.state_dict())
    sheet = {
        "command": f"pigeon-recsys train judge --out {out} --steps {steps} --seed {seed}",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": seed,
        "steps": steps,
        "train_seconds": round(report.seconds, 1),
        "threads": torch.get_num_threads(),
        "training_pictures": NUM_TRAINING,
        "input_size": INPUT_SIZE,
        "weights_bytes": (out / WEIGHTS_FILE).stat().st_size,
        "held_out": held_out_accuracy(FactorJudge.load(out / WEIGHTS_FILE), seed),
    }
    write_text_atomic(out / SHEET_FILE, json.dumps(sheet, indent=2) + "\n")
    return sheet


def held_out_accuracy(judge: FactorJudge, seed: int) -> dict[str, Any]:
    """Return the judge's accuracy by factor on stickers it never saw, clean and worn."""
    stickers, pictures = draw_examples(NUM_HELD_OUT, INPUT_SIZE, judge_stream(seed, HELD_OUT))
    rng = judge_stream(seed, WEAR)
    return {
        "pictures": NUM_HELD_OUT,
        "clean": accuracy(judge, stickers, pictures),
        "worn": accuracy(judge, stickers, [worn(pixels, rng) for pixels in pictures]),
    }


def accuracy(
    judge: FactorJudge, stickers: Sequence[Sticker], pictures: Sequence[Pixels]
) -> dict[str, float]:
    """Return the share of pictures whose value the judge names right, by factor."""
    named = judge.factors(pictures)
    return {
        factor: float(
            np.mean([n[factor] == getattr(s, factor) for n, s in zip(named, stickers, strict=True)])
        )
        for factor in FACTORS
    }


def codes_by_factor(stickers: Sequence[Sticker]) -> dict[str, Tensor]:
    """Return target_B by factor: the position of each sticker's value in the factor's list."""
    return {
        factor: torch.tensor([values.index(getattr(s, factor)) for s in stickers])
        for factor, values in FACTORS.items()
    }
