"""Every tensor has one optimizer, and Muon gets the matrices of linear layers alone."""

import pytest
import torch
from torch import nn

from pigeon_recsys.alignment.optimizers import make_optimizers, parameters_of, set_learning_rate


@pytest.fixture
def module() -> nn.ModuleDict:
    parts = {
        "embedding": nn.Embedding(5, 4),
        "linear": nn.Linear(4, 3),
        "norm": nn.LayerNorm(3),
        "frozen": nn.Linear(4, 4).requires_grad_(False),
    }
    return nn.ModuleDict(parts)


def names(module: nn.Module, optimizer: torch.optim.Optimizer) -> set[str]:
    own = {id(p) for p in parameters_of([optimizer])}
    return {name for name, p in module.named_parameters() if id(p) in own}


def test_muon_trains_linear_weights_and_adamw_the_rest(module: nn.ModuleDict) -> None:
    adamw, muon = make_optimizers("muon", module, 0.1, 0.01)
    assert isinstance(muon, torch.optim.Muon)
    assert names(module, muon) == {"linear.weight"}
    assert names(module, adamw) == {"embedding.weight", "linear.bias", "norm.weight", "norm.bias"}


def test_adamw_trains_all_that_is_not_frozen(module: nn.ModuleDict) -> None:
    (adamw,) = make_optimizers("adamw", module, 0.1, 0.01)
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    assert names(module, adamw) == trained


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        (nn.Embedding(5, 4), [torch.optim.AdamW]),
        (nn.Linear(4, 3, bias=False), [torch.optim.Muon]),
    ],
)
def test_an_optimizer_without_tensors_is_left_out(
    module: nn.Module, kinds: list[type[torch.optim.Optimizer]]
) -> None:
    assert [type(each) for each in make_optimizers("muon", module, 0.1, 0.01)] == kinds


def test_a_tensor_that_two_layers_share_is_trained_once() -> None:
    one, other = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    other.weight = one.weight
    assert len(parameters_of(make_optimizers("muon", nn.ModuleList([one, other]), 0.1, 0.0))) == 1


def test_one_learning_rate_serves_all(module: nn.ModuleDict) -> None:
    optimizers = make_optimizers("muon", module, 0.1, 0.01)
    set_learning_rate(optimizers, 0.02)
    assert [group["lr"] for each in optimizers for group in each.param_groups] == [0.02, 0.02]
