"""Mixed precision is refused where it cannot run, and trains where it can."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pigeon_recsys.alignment.loop import train
from pigeon_recsys.alignment.precision import MixedPrecision, Precision, check_precision
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.errors import SettingsError
from tests.alignment.tiny_training import SETTINGS, draw_rows, make_model, sum_loss

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_full_precision_changes_nothing() -> None:
    precision = MixedPrecision("fp32", CPU)
    with precision.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not precision.scaler.is_enabled()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_cpu_computes_in_full_precision_only(precision: Precision) -> None:
    with pytest.raises(
        SettingsError, match=f"precision {precision} needs a CUDA device.*on the cpu.*fp32"
    ):
        check_precision(precision, CPU)


def test_bf16_on_a_gpu_that_does_not_know_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(SettingsError, match="bf16 is unknown to this GPU. Set precision: fp16"):
        check_precision("bf16", CUDA)
    check_precision("fp16", CUDA)


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
