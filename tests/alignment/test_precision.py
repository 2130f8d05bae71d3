"""Mixed precision is refused where it cannot run, and trains where it can."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pigeon_recsys.alignment.loop import train
from pigeon_recsys.alignment.precision import MixedPrecision, Precision, check_precision
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.errors import SettingsError
from tests.alignment.tiny_training import (
    SETTINGS,
    draw_rows,
    learn_sums,
    make_model,
    sum_loss,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def knows(monkeypatch: pytest.MonkeyPatch, *, bf16: bool) -> None:
    """Let every device know bf16, or none."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)


def test_full_precision_changes_nothing() -> None:
    precision = MixedPrecision("fp32", CPU)
    with precision.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not precision.scaler.is_enabled()


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(SettingsError, match=r"fp16 needs a CUDA device.*on the cpu.*auto"):
        check_precision("fp16", CPU)
    check_precision("fp16", CUDA)


@pytest.mark.parametrize("device", [CPU, CUDA])
def test_bf16_is_refused_where_it_is_unknown(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, bf16=False)
    with pytest.raises(SettingsError, match=f"bf16 is unknown to this {device.type} device.*auto"):
        check_precision("bf16", device)
    knows(monkeypatch, bf16=True)
    check_precision("bf16", device)


@pytest.mark.parametrize(("bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_takes_bf16_where_it_is_known(
    bf16: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(monkeypatch, bf16=bf16)
    precision = MixedPrecision("auto", CPU)
    with precision.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert not precision.scaler.is_enabled()


def test_auto_trains_on_any_machine(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=60, precision="auto")
    model = make_model(dropout=0)
    learn_sums(model, tmp_path, settings)
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert losses[-1] < 0.3 * losses[0]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_trains_and_resumes_on_a_gpu(
    precision: Precision, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, steps=60, precision=precision)
    model = make_model().to(CUDA)

    def step_loss(generator: torch.Generator) -> dict[str, torch.Tensor]:
        return sum_loss(model, draw_rows(generator).to(CUDA))

    train("sum", model, step_loss, settings, tmp_path)
    train("sum", model, step_loss, settings, tmp_path)
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert losses[-1] < 0.3 * losses[0]
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
