"""All that changes while a stage trains, and its checkpoint on disk.

A checkpoint holds the step, the trained weights, the optimizers, the loss scaler, what early
stopping remembers and the seconds so far. Random states are not in it: every draw of a step
follows from the seed and the step.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pigeon_recsys.alignment.early_stopping import EarlyStopping
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import atomic_path

logger = logging.getLogger(__name__)


def checkpoint_path(run: Path, stage: str) -> Path:
    """Return where a stage keeps its checkpoint."""
    return run / f"{stage}.checkpoint.pt"


@dataclass
class TrainState:
    """What a killed run needs to go on as if nothing had happened."""

    module: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    scaler: torch.amp.GradScaler
    stopping: EarlyStopping
    step: int = 0  # steps made
    metrics: dict[str, float] = field(default_factory=dict)  # as last logged
    seconds_before: float = 0.0  # spent by processes that are gone
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a kill included."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def weights(self) -> dict[str, Tensor]:
        """The tensors that are trained, by name."""
        return {name: p.data for name, p in self.module.named_parameters() if p.requires_grad}

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all."""
        content = {
            "settings": dict(settings),
            "step": self.step,
            "metrics": self.metrics,
            "seconds": self.seconds,
            "weights": self.weights,
            "optimizers": [each.state_dict() for each in self.optimizers],
            "scaler": self.scaler.state_dict(),
            "stopping": self.stopping.state_dict(),
        }
        with atomic_path(path) as temporary:
            torch.save(content, temporary)

    def resume(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Go on from the checkpoint if there is one. Raises `ArtifactError` if it does not fit."""
        if not path.exists():
            return
        rebuild = f"delete {path} and train again"
        content = _read(path, rebuild)
        if content["settings"] != settings:
            raise ArtifactError(
                path, "was made with other settings of the train loop", rebuild=rebuild
            )
        weights = self.weights
        found = {name: weight.shape for name, weight in content["weights"].items()}
        if found != {name: weight.shape for name, weight in weights.items()}:
            raise ArtifactError(path, "was made for a model of other sizes", rebuild=rebuild)
        for name, weight in weights.items():
            weight.copy_(content["weights"][name])
        for optimizer, found_state in zip(self.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(found_state)
        self.scaler.load_state_dict(content["scaler"])
        self.stopping.load_state_dict(content["stopping"])
        self.step = content["step"]
        self.metrics = content["metrics"]
        self.seconds_before = content["seconds"]
        logger.info("resuming %s at step %d", path.name, self.step)


def _read(path: Path, rebuild: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as exc:  # torch raises many types, with advice that is not safe to follow
        raise ArtifactError(path, "is damaged", rebuild=rebuild) from exc
    return content
