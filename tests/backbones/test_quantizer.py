"""Finite scalar quantization."""

import pytest
import torch

from pigeon_recsys.backbones.mini.quantizer import FiniteScalarQuantizer


@pytest.fixture
def quantizer() -> FiniteScalarQuantizer:
    return FiniteScalarQuantizer((8, 5, 5, 5))


def test_ids_and_codes_are_inverses(quantizer: FiniteScalarQuantizer) -> None:
    every_id = torch.arange(quantizer.num_codes)[None]
    code = quantizer.codes(every_id)
    assert quantizer.num_codes == 1000
    assert len(code[0].unique(dim=0)) == 1000
    latent = torch.randn(4, 36, 4, generator=torch.Generator().manual_seed(0)) * 3
    quantized, ids = quantizer(latent)
    torch.testing.assert_close(quantizer.codes(ids), quantized)


def test_every_level_is_reachable_and_none_beyond(quantizer: FiniteScalarQuantizer) -> None:
    latent = torch.linspace(-20, 20, 4001)[None, :, None].expand(1, -1, 4)
    _, ids = quantizer(latent)
    digits = (ids[..., None] // quantizer.base_C) % quantizer.level_C
    assert [len(digits[0, :, c].unique()) for c in range(4)] == [8, 5, 5, 5]
    assert ids.min() >= 0
    assert ids.max() < 1000


def test_gradients_pass_straight_through(quantizer: FiniteScalarQuantizer) -> None:
    latent = torch.zeros(1, 1, 4, requires_grad=True)
    code, _ = quantizer(latent)
    code.sum().backward()
    assert latent.grad is not None
    assert (latent.grad > 0).all()


def test_one_level_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 2, got \[8, 1\]"):
        FiniteScalarQuantizer((8, 1))
