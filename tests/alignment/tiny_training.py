"""A training of two seconds, also run in processes of its own:

python -m tests.alignment.tiny_training FOLDER [--accumulate N] [--optimizer KIND] [--die-at DRAW]

With a draw to die at it ends there as `kill -9` ends a process. Started by torchrun, its processes
share the micro batches.
"""

import argparse
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pigeon_recsys.alignment import processes
from pigeon_recsys.alignment.loop import LoopSettings, TrainReport, train

ROWS = 16
SETTINGS = LoopSettings(
    steps=12, learning_rate=0.05, warmup_steps=2, log_every=1, validate_every=4, save_every=4
)


def make_model(dropout: float = 0.2) -> nn.Module:
    """Return a small network, always the same, with dropout."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(dropout), nn.Linear(8, 1))


def draw_rows(generator: torch.Generator) -> Tensor:
    """Draw what one micro batch sees."""
    return torch.rand(ROWS, 3, generator=generator)


def sum_loss(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return how badly the model sums three numbers."""
    return {"loss": (model(x) - x.sum(1, keepdim=True)).square().mean()}


def learn_sums(
    model: nn.Module,
    folder: Path,
    settings: LoopSettings = SETTINGS,
    before_draw: Callable[[int], None] = lambda draw: None,
    validation: Callable[[], dict[str, float]] | None = None,
) -> TrainReport:
    """Train the model; `before_draw` is told how many micro batches this process has drawn."""
    drawn = 0

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        nonlocal drawn
        before_draw(drawn)
        drawn += 1
        return sum_loss(model, draw_rows(generator))

    def validate() -> dict[str, float]:
        rows = draw_rows(torch.Generator().manual_seed(99))
        return {"validation_loss": sum_loss(model, rows)["loss"].item()}

    return train("sum", model, step_loss, settings, folder, validation or validate)


def main() -> None:
    """Train in this process, to the end or to its sudden death."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--die-at", type=int)
    args = parser.parse_args()
    settings = replace(SETTINGS, accumulate=args.accumulate, optimizer=args.optimizer)

    def die(draw: int) -> None:
        if draw == args.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with processes.joined():
        learn_sums(make_model(), args.folder, settings, die)


if __name__ == "__main__":
    main()
