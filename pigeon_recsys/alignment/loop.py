"""The one train loop: every stage of every model runs through it.

In:  a module, a function that gives the loss of one micro batch, settings, a run folder.
Out: trained weights in the module; in the run folder a checkpoint and what `run_record.py` names.

A step sums the gradients of `accumulate` micro batches. Every random draw of a micro batch
comes from generators seeded by (seed, its number in the run), so a run that was killed and
resumed, or shared out to several processes, meets the same batches, masks and dropout.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pigeon_recsys.alignment import processes
from pigeon_recsys.alignment.curves import draw_curves
from pigeon_recsys.alignment.early_stopping import METRIC, EarlyStopping
from pigeon_recsys.alignment.optimizers import (
    OptimizerKind,
    make_optimizers,
    parameters_of,
    set_learning_rate,
)
from pigeon_recsys.alignment.precision import MixedPrecision, Precision, device_of
from pigeon_recsys.alignment.run_record import RunRecord, Samples
from pigeon_recsys.alignment.train_state import TrainState, checkpoint_path
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels

StepLoss = Callable[[torch.Generator], dict[str, Tensor]]
"""Draws a micro batch and returns named losses, means over its rows; `loss` is minimised."""

Validation = Callable[[], dict[str, float]]
"""Returns metrics on users never trained on, `validation_loss` among them."""

FINAL_LEARNING_RATE = 0.05  # share of the peak that the cosine schedule ends at
DRAW_STRIDE = 1_000_003  # a prime, so that (seed, draw) pairs do not collide for short runs


@dataclass(frozen=True)
class LoopSettings:
    """How long, how fast and how to train."""

    steps: int
    learning_rate: float
    warmup_steps: int = 50
    weight_decay: float = 0.01
    optimizer: OptimizerKind = "adamw"
    grad_clip: float = 1.0
    accumulate: int = 1  # micro batches a step; processes share them
    precision: Precision = "fp32"
    patience: int | None = None  # validations without improvement before stopping; None: never
    log_every: int = 25
    validate_every: int = 250
    save_every: int = 250
    samples_every: int = 1000
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
    samples: Samples | None = None,
) -> TrainReport:
    """Train the module's tensors that require gradients; resume from the run's checkpoint."""
    _check(name, settings, validate)
    precision = MixedPrecision(settings.precision, device_of(module))
    state = _new_state(module, settings, precision)
    checkpoint, record = checkpoint_path(run, name), RunRecord(run, name)
    run.mkdir(parents=True, exist_ok=True)
    state.resume(checkpoint, asdict(settings))
    processes.copy_from_first(state.weights.values())
    if processes.is_first():
        record.forget_after(state.step)
    module.train()
    for step in _steps(name, state.step, settings.steps):
        if state.stopping.is_due:
            break
        state.step = step + 1
        losses, grad_norm = _one_step(step_loss, state, settings, precision, step)
        validates = validate is not None and _is_due(settings.validate_every, step, settings)
        if validates or _is_due(settings.log_every, step, settings):
            state.metrics = _agreed(losses) | {"grad_norm": grad_norm.item()}
            if validate and validates:
                state.metrics |= _validated(module, validate, precision)
                state.stopping.see(state.step, state.metrics, state.weights)
            if processes.is_first():
                record.log(state.step, state.seconds, state.metrics)
        if processes.is_first():
            if samples and _is_due(settings.samples_every, step, settings):
                record.save_samples(state.step, _sampled(module, samples))
            if state.stopping.is_due or _is_due(settings.save_every, step, settings):
                state.save(checkpoint, asdict(settings))
                draw_curves(run)
    metrics = state.stopping.restore(state.weights) or state.metrics
    module.eval()
    return TrainReport(state.step, state.seconds, metrics)


def draw_generator(seed: int, draw: int) -> torch.Generator:
    """Return the generator of all draws of one micro batch, the `draw`-th of the run."""
    return torch.Generator().manual_seed(_draw_seed(seed, draw))


def learning_rate_share(step: int, settings: LoopSettings) -> float:
    """Return the share of the peak learning rate at a step: linear warm-up, then a cosine."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    span = max(1, settings.steps - settings.warmup_steps)
    progress = min(1.0, (step - settings.warmup_steps) / span)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return FINAL_LEARNING_RATE + (1 - FINAL_LEARNING_RATE) * cosine


def _check(name: str, settings: LoopSettings, validate: Validation | None) -> None:
    processes.own_micro_batches(settings.accumulate)  # refuses what cannot be shared out
    if settings.patience is not None and validate is None:
        raise SettingsError(
            f"{name}.patience is {settings.patience}, but this stage has no {METRIC} on this "
            "data to stop by. Delete the line, or add users to the data."
        )


def _new_state(module: nn.Module, settings: LoopSettings, precision: MixedPrecision) -> TrainState:
    optimizers = make_optimizers(
        settings.optimizer, module, settings.learning_rate, settings.weight_decay
    )
    return TrainState(module, optimizers, precision.scaler, EarlyStopping(settings.patience))


def _steps(name: str, first: int, end: int) -> Iterable[int]:
    steps = range(first, end)
    return track(steps, f"train {name}") if processes.is_first() else steps


def _is_due(every: int, step: int, settings: LoopSettings) -> bool:
    return step + 1 == settings.steps or (step + 1) % every == 0


def _draw_seed(seed: int, draw: int) -> int:
    return seed * DRAW_STRIDE + draw


def _one_step(
    step_loss: StepLoss,
    state: TrainState,
    settings: LoopSettings,
    precision: MixedPrecision,
    step: int,
) -> tuple[dict[str, Tensor], Tensor]:
    """Make one step; return this process's share of each mean loss, and the gradient's norm."""
    trained = parameters_of(state.optimizers)
    set_learning_rate(
        state.optimizers, settings.learning_rate * learning_rate_share(step, settings)
    )
    for optimizer in state.optimizers:
        optimizer.zero_grad(set_to_none=True)
    shares: dict[str, Tensor] = {}
    for micro_batch in processes.own_micro_batches(settings.accumulate):
        draw = step * settings.accumulate + micro_batch
        torch.manual_seed(_draw_seed(settings.seed, draw))  # dropout takes no generator
        with precision.autocast():
            losses = step_loss(draw_generator(settings.seed, draw))
        state.scaler.scale(losses["loss"] / settings.accumulate).backward()
        for key, loss in losses.items():
            shares[key] = shares.get(key, 0) + loss.detach() / settings.accumulate
    processes.sum_gradients(trained)
    for optimizer in state.optimizers:
        state.scaler.unscale_(optimizer)
    grad_norm = nn.utils.clip_grad_norm_(trained, settings.grad_clip)
    if grad_norm.isfinite() or not state.scaler.is_enabled():  # it looks at each one's alone
        for optimizer in state.optimizers:
            state.scaler.step(optimizer)
    state.scaler.update()
    return shares, grad_norm


def _agreed(shares: dict[str, Tensor]) -> dict[str, float]:
    """Return the mean losses over all processes' micro batches."""
    return processes.summed({key: share.item() for key, share in shares.items()})


@torch.no_grad()
def _validated(
    module: nn.Module, validate: Validation, precision: MixedPrecision
) -> dict[str, float]:
    """Return the metrics, to the last bit the same in all processes: they decide when to stop."""
    module.eval()
    with precision.autocast():
        metrics = validate()
    module.train()
    count = processes.num_processes()
    return processes.summed({key: value / count for key, value in metrics.items()})


@torch.no_grad()
def _sampled(module: nn.Module, samples: Samples) -> Sequence[Pixels]:
    module.eval()
    columns = samples()
    module.train()
    return columns
