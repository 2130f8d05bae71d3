"""The train loop: learning, accumulating, resuming bit for bit, and damaged checkpoints."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pigeon_recsys.alignment.early_stopping import EarlyStopping
from pigeon_recsys.alignment.loop import (
    LoopSettings,
    _one_step,
    draw_generator,
    learning_rate_share,
    train,
)
from pigeon_recsys.alignment.optimizers import OptimizerKind, make_optimizers
from pigeon_recsys.alignment.precision import MixedPrecision
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.alignment.train_state import TrainState, checkpoint_path
from pigeon_recsys.errors import ArtifactError, SettingsError
from tests.alignment.tiny_training import SETTINGS, draw_rows, learn_sums, make_model, sum_loss


def stop_at(draw_to_stop_at: int, draw: int) -> None:
    """Raise as Ctrl-C does."""
    if draw == draw_to_stop_at:
        raise KeyboardInterrupt


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def losses(run: Path) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in read_metrics(run)}


@pytest.mark.parametrize("optimizer", get_args(OptimizerKind))
def test_the_loss_falls(tmp_path: Path, optimizer: OptimizerKind) -> None:
    settings = replace(SETTINGS, steps=60, log_every=4, save_every=60, optimizer=optimizer)
    report = learn_sums(make_model(dropout=0.0), tmp_path, settings)
    rows = read_metrics(tmp_path)
    assert [rows[0]["step"], rows[-1]["step"], report.steps] == [4, 60, 60]
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    assert rows[-1]["validation_loss"] == pytest.approx(report.metrics["validation_loss"], abs=1e-6)


def test_a_run_ended_by_kill_9_goes_on_bit_for_bit(tmp_path: Path, repo_root: Path) -> None:
    """Killed in step 7, saved at step 4: the loss of step 5, the first after resuming, and all
    that follow are those of a run that was not killed, and so are the weights."""
    whole, resumed = make_model(), make_model()
    learn_sums(whole, tmp_path / "whole")
    command = [sys.executable, "-m", "tests.alignment.tiny_training", tmp_path / "killed"]
    command += ["--die-at", "6"]
    assert subprocess.run(command, cwd=repo_root, check=False).returncode == -signal.SIGKILL
    assert list(losses(tmp_path / "killed")) == [1, 2, 3, 4, 5, 6]
    draws = []
    report = learn_sums(resumed, tmp_path / "killed", before_draw=draws.append)
    assert len(draws) == 8
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(read_metrics(tmp_path / "killed")) == report.steps == 12
    assert_equal(whole, resumed)


@pytest.mark.parametrize("optimizer", get_args(OptimizerKind))
def test_an_interrupted_run_with_accumulation_and_patience_goes_on_bit_for_bit(
    tmp_path: Path, optimizer: OptimizerKind
) -> None:
    settings = replace(SETTINGS, accumulate=3, patience=2, optimizer=optimizer)
    whole, resumed = make_model(), make_model()
    learn_sums(whole, tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        learn_sums(make_model(), tmp_path / "cut", settings, lambda draw: stop_at(20, draw))
    learn_sums(resumed, tmp_path / "cut", settings)
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert_equal(whole, resumed)


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    first, again = make_model(), make_model()
    report = learn_sums(first, tmp_path)
    saved = torch.load(checkpoint_path(tmp_path, "sum"), weights_only=True)
    repeated = learn_sums(again, tmp_path, before_draw=lambda draw: stop_at(0, draw))
    assert_equal(first, again)
    assert repeated.metrics == report.metrics
    assert repeated.seconds > saved["seconds"] > 0


def test_small_micro_batches_make_the_update_of_one_large_batch(tmp_path: Path) -> None:
    """Four micro batches of 16 rows against one batch of the same 64; no dropout, which draws
    for each batch anew."""
    small, large = make_model(dropout=0), make_model(dropout=0)
    learn_sums(small, tmp_path / "small", replace(SETTINGS, accumulate=4))
    draws = iter(range(4 * SETTINGS.steps))

    def large_loss(generator: torch.Generator) -> dict[str, Tensor]:
        parts = [draw_rows(draw_generator(SETTINGS.seed, next(draws))) for _ in range(4)]
        return sum_loss(large, torch.cat(parts))

    train("sum", large, large_loss, SETTINGS, tmp_path / "large")
    for name, tensor in small.state_dict().items():
        torch.testing.assert_close(tensor, large.state_dict()[name], atol=1e-5, rtol=0)
    assert losses(tmp_path / "small") == pytest.approx(losses(tmp_path / "large"), abs=1e-5)


def falling_then_rising() -> Iterator[float]:
    yield from (0.9, 0.4, 0.6, 0.5, 0.7)


def test_early_stopping_ends_the_run_and_restores_the_best_weights(tmp_path: Path) -> None:
    """Validations at steps 4, 8, 12, 16 …: the best is the second, and two worse ones follow."""
    values = falling_then_rising()
    settings = replace(SETTINGS, steps=40, patience=2)
    model = make_model()
    seen: dict[int, Tensor] = {}

    def validate() -> dict[str, float]:
        seen[4 * (len(seen) + 1)] = next(model.parameters()).detach().clone()
        return {"validation_loss": next(values)}

    report = learn_sums(model, tmp_path, settings, validation=validate)
    assert report.steps == 16
    assert (report.metrics["best_step"], report.metrics["validation_loss"]) == (8, 0.4)
    assert torch.equal(next(model.parameters()), seen[8])
    assert not torch.equal(seen[8], seen[16])
    again = make_model()
    assert learn_sums(again, tmp_path, settings, validation=validate).steps == 16
    assert_equal(model, again)


def test_patience_without_a_validation_is_refused(tmp_path: Path) -> None:
    model = make_model()
    with pytest.raises(SettingsError, match=r"sum\.patience is 3, but .* no validation_loss"):
        train(
            "sum",
            model,
            lambda generator: sum_loss(model, draw_rows(generator)),
            replace(SETTINGS, patience=3),
            tmp_path,
        )


def test_samples_are_drawn_at_their_steps_and_change_nothing(tmp_path: Path) -> None:
    """Two columns of three 4x6 pictures make a sheet of 12 rows and 12 columns."""
    plain, sampled = make_model(), make_model()
    column = np.zeros((3, 4, 6, 3), dtype=np.uint8)

    def samples() -> list[np.ndarray]:
        assert not sampled.training
        torch.rand(5)
        return [column, column]

    learn_sums(plain, tmp_path / "plain")
    train(
        "sum",
        sampled,
        lambda generator: sum_loss(sampled, draw_rows(generator)),
        replace(SETTINGS, samples_every=5),
        tmp_path / "sampled",
        samples=samples,
    )
    sheets = sorted((tmp_path / "sampled" / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == [
        "sum-000005.png",
        "sum-000010.png",
        "sum-000012.png",
    ]
    with Image.open(sheets[0]) as sheet:
        assert sheet.size == (12, 12)
    assert_equal(plain, sampled)


def test_other_settings_do_not_resume(tmp_path: Path) -> None:
    learn_sums(make_model(), tmp_path)
    with pytest.raises(ArtifactError, match="made with other settings of the train loop"):
        learn_sums(make_model(), tmp_path, replace(SETTINGS, learning_rate=0.1))


def test_a_model_of_other_sizes_does_not_resume(tmp_path: Path) -> None:
    learn_sums(make_model(), tmp_path)
    with pytest.raises(ArtifactError, match="made for a model of other sizes"):
        learn_sums(nn.Linear(3, 1), tmp_path)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "sum.checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ArtifactError, match=r"sum\.checkpoint\.pt is damaged.* delete"):
        learn_sums(make_model(), tmp_path)


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    lines = [json.dumps({"stage": "sum", "step": 1, "loss": 1.0}), '{"stage": "su']
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert [row["step"] for row in read_metrics(tmp_path)] == [1]


def test_the_learning_rate_warms_up_and_ends_low() -> None:
    """Two steps of warm-up: ½, 1; the cosine's end is 5 %."""
    settings = LoopSettings(steps=12, learning_rate=0.05, warmup_steps=2)
    shares = [learning_rate_share(step, settings) for step in range(13)]
    assert shares[:3] == [0.5, 1.0, 1.0]
    assert shares[12] == pytest.approx(0.05)
    assert shares[2:] == sorted(shares[2:], reverse=True)


@pytest.mark.parametrize("spoilt", [torch.inf, torch.nan])
def test_a_gradient_that_overflows_costs_the_step_of_every_optimizer(spoilt: float) -> None:
    """Each would be skipped for its own gradients alone, and the norm is of all."""
    module = nn.Linear(2, 2)
    module.weight.register_hook(lambda gradient: torch.full_like(gradient, spoilt))
    optimizers = make_optimizers("muon", module, 0.1, 0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    state = TrainState(module, optimizers, scaler, EarlyStopping(None))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    fp32 = MixedPrecision("fp32", torch.device("cpu"))
    _one_step(lambda _: {"loss": module(torch.ones(2)).sum()}, state, SETTINGS, fp32, 0)
    assert all(torch.equal(before[name], each) for name, each in module.state_dict().items())
    assert scaler.get_scale() == 1.0
