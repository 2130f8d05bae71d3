"""The one train loop: every stage of every model runs through it.

In:  a module, a function that gives the loss of one step, settings, a run folder.
Out: trained weights in the module; in the run folder `metrics.jsonl` and a checkpoint.

Every random draw of step s comes from generators seeded by (seed, s), so a run that was
killed and resumed meets the same batches, masks and dropout as one that was not.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import atomic_path
from pigeon_recsys.progress import track

logger = logging.getLogger(__name__)

StepLoss = Callable[[torch.Generator], dict[str, Tensor]]
"""Draws a batch from the generator and returns named losses; `loss` is the one to minimise."""

Validation = Callable[[], dict[str, float]]

FINAL_LEARNING_RATE = 0.05  # share of the peak that the cosine schedule ends at
STEP_STRIDE = 1_000_003  # a prime, so that (seed, step) pairs do not collide for short runs


@dataclass(frozen=True)
class LoopSettings:
    """How long and how fast to train."""

    steps: int
    learning_rate: float
    warmup_steps: int = 50
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    log_every: int = 25
    validate_every: int = 250
    save_every: int = 250
    seed: int = 0


@dataclass(frozen=True)
class TrainReport:
    """How a run ended."""

    steps: int
    seconds: float
    metrics: dict[str, float]


def train(
    name: str,
    module: nn.Module,
    step_loss: StepLoss,
    settings: LoopSettings,
    run: Path,
    validate: Validation | None = None,
) -> TrainReport:
    """Train the module's tensors that require gradients; resume from the run's checkpoint."""
    run.mkdir(parents=True, exist_ok=True)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    checkpoint = run / f"{name}.checkpoint.pt"
    first_step = _resume(checkpoint, module, optimizer, settings)
    started = time.monotonic()
    metrics: dict[str, float] = {}
    module.train()
    for step in track(range(first_step, settings.steps), f"train {name}"):
        losses = _one_step(step_loss, parameters, optimizer, settings, step)
        is_last = step + 1 == settings.steps
        if is_last or (step + 1) % settings.log_every == 0:
            metrics = {key: value.item() for key, value in losses.items()}
            if validate and (is_last or (step + 1) % settings.validate_every == 0):
                metrics |= _validated(module, validate)
            _log(run, name, step + 1, time.monotonic() - started, metrics)
        if is_last or (step + 1) % settings.save_every == 0:
            _save(checkpoint, module, optimizer, settings, step + 1)
    module.eval()
    return TrainReport(settings.steps, time.monotonic() - started, metrics)


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the generator that all draws of one step use."""
    return torch.Generator().manual_seed(seed * STEP_STRIDE + step)


def learning_rate_share(step: int, settings: LoopSettings) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then a cosine."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    span = max(1, settings.steps - settings.warmup_steps)
    progress = min(1.0, (step - settings.warmup_steps) / span)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return FINAL_LEARNING_RATE + (1 - FINAL_LEARNING_RATE) * cosine


def _one_step(
    step_loss: StepLoss,
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    settings: LoopSettings,
    step: int,
) -> dict[str, Tensor]:
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * learning_rate_share(step, settings)
    torch.manual_seed(settings.seed * STEP_STRIDE + step)  # dropout has no generator argument
    losses = step_loss(step_generator(settings.seed, step))
    optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()
    losses["grad_norm"] = nn.utils.clip_grad_norm_(parameters, settings.grad_clip)
    optimizer.step()
    return losses


@torch.no_grad()
def _validated(module: nn.Module, validate: Validation) -> dict[str, float]:
    module.eval()
    metrics = validate()
    module.train()
    return metrics


def _log(run: Path, name: str, step: int, seconds: float, metrics: dict[str, float]) -> None:
    row = {"stage": name, "step": step, "seconds": round(seconds, 2)}
    row |= {key: round(value, 6) for key, value in metrics.items()}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    logger.info("%s", row)


def _trainable(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.data for name, p in module.named_parameters() if p.requires_grad}


def _save(
    checkpoint: Path,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: LoopSettings,
    step: int,
) -> None:
    state = {
        "step": step,
        "settings": asdict(settings),
        "weights": _trainable(module),
        "optimizer": optimizer.state_dict(),
    }
    with atomic_path(checkpoint) as temporary:
        torch.save(state, temporary)


def _resume(
    checkpoint: Path, module: nn.Module, optimizer: torch.optim.Optimizer, settings: LoopSettings
) -> int:
    """Load the checkpoint if there is one and return the step to go on from."""
    if not checkpoint.exists():
        return 0
    rebuild = f"delete {checkpoint} and train again"
    try:
        state = torch.load(checkpoint, weights_only=True)
    except Exception as exc:  # torch raises many types, with advice that is not safe to follow
        raise ArtifactError(checkpoint, "is damaged", rebuild=rebuild) from exc
    if state["settings"] != asdict(settings):
        raise ArtifactError(
            checkpoint, "was made with other settings of the train loop", rebuild=rebuild
        )
    for name, weight in _trainable(module).items():
        weight.copy_(state["weights"][name])
    optimizer.load_state_dict(state["optimizer"])
    logger.info("resuming %s at step %d", checkpoint.name, state["step"])
    return int(state["step"])
