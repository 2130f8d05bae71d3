"""Early stopping: end a training that no longer gets better, and keep the best weights.

In:  the validation metric of a stage (smaller is better) and the weights it belongs to.
Out: whether to go on; in the end the weights of the best validation.

The metric is computed on users that the training never reads (`datasets/split.py`).
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

METRIC = "validation_loss"  # of every stage that has a validation


class EarlyStopping:
    """Counts validations without improvement; without patience it does nothing."""

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.num_worse = 0  # validations since the best one
        self.best_metrics: dict[str, float] = {}
        self.best_weights: dict[str, Tensor] = {}

    @property
    def is_due(self) -> bool:
        """Say whether to stop here."""
        return self.patience is not None and self.num_worse >= self.patience

    def see(self, step: int, metrics: Mapping[str, float], weights: Mapping[str, Tensor]) -> None:
        """Remember the weights if this validation is the best so far, else count it."""
        if self.patience is None:
            return
        if metrics[METRIC] < self.best_metrics.get(METRIC, math.inf):
            self.num_worse = 0
            self.best_metrics = {**metrics, "best_step": step}
            self.best_weights = {name: weight.clone() for name, weight in weights.items()}
        else:
            self.num_worse += 1

    @torch.no_grad()
    def restore(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """Copy the best weights over those given and return the best validation's metrics."""
        for name, best in self.best_weights.items():
            weights[name].copy_(best)
        return dict(self.best_metrics)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs to hold."""
        return {
            "num_worse": self.num_worse,
            "best_metrics": self.best_metrics,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.num_worse = state["num_worse"]
        self.best_metrics = state["best_metrics"]
        self.best_weights = state["best_weights"]
