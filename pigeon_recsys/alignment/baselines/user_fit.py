"""Learn something for one user, in seconds: the loop of the baselines that train at request time.

In:  the tensors to learn, the loss on the user's own images.
Out: the tensors, learned in place, and the loss before each step.

Every step sees all images of the user, so nothing is drawn and the result follows from the start.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from pigeon_recsys.errors import SettingsError


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast to learn for one user."""

    steps: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingsError(
                f"learning for a user takes at least 1 step, got steps {self.steps}."
            )


def fit(
    parameters: Iterable[Tensor], loss: Callable[[], Tensor], settings: FitSettings
) -> tuple[float, ...]:
    """Minimise the loss with Adam; return it as it was before each step."""
    optimizer = torch.optim.Adam(list(parameters), lr=settings.learning_rate)
    losses: list[float] = []
    with torch.enable_grad():
        for _ in range(settings.steps):
            optimizer.zero_grad(set_to_none=True)
            value = loss()
            torch.autograd.backward(value)
            optimizer.step()
            losses.append(value.item())
    return tuple(losses)
