"""Which optimizer trains which tensors of a module.

`adamw` trains all of them. `muon` takes the weight matrices of linear layers, whose momentum it
makes orthogonal, and leaves embeddings, norms and biases to AdamW. Its steps are scaled to the size
of AdamW's (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2), so that one learning
rate serves both.
"""

from collections.abc import Iterable
from typing import Literal

from torch import nn
from torch.optim import AdamW, Muon, Optimizer

OptimizerKind = Literal["adamw", "muon"]


def make_optimizers(
    kind: OptimizerKind, module: nn.Module, learning_rate: float, weight_decay: float
) -> list[Optimizer]:
    """Return the optimizers of all tensors that require gradients, each tensor's in one of them."""
    trained = [p for p in module.parameters() if p.requires_grad]
    linear = [each.weight for each in module.modules() if isinstance(each, nn.Linear)]
    for_muon = {id(weight) for weight in linear if kind == "muon"}
    matrices = [p for p in trained if id(p) in for_muon]
    others = [p for p in trained if id(p) not in for_muon]
    optimizers: list[Optimizer] = []
    if others:
        optimizers.append(AdamW(others, lr=learning_rate, weight_decay=weight_decay))
    if matrices:
        optimizers.append(
            Muon(
                matrices,
                lr=learning_rate,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return optimizers


def parameters_of(optimizers: Iterable[Optimizer]) -> list[nn.Parameter]:
    """Return all tensors that these optimizers train."""
    return [p for each in optimizers for group in each.param_groups for p in group["params"]]


def set_learning_rate(optimizers: Iterable[Optimizer], learning_rate: float) -> None:
    """Let the next step of all be of this learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
