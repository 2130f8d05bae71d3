"""The train loop: learning, resuming bit for bit, and damaged checkpoints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pigeon_recsys.alignment.loop import LoopSettings, learning_rate_share, train
from pigeon_recsys.errors import ArtifactError

SETTINGS = LoopSettings(steps=12, learning_rate=0.05, warmup_steps=2, log_every=4, save_every=4)


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 1))


def run(model: nn.Module, folder: Path, settings: LoopSettings, stop_at: int = 99) -> None:
    """Learn the sum of three numbers; raise like a killed process at `stop_at`."""
    steps = 0

    def step_loss(generator: torch.Generator) -> dict[str, Tensor]:
        nonlocal steps
        if steps == stop_at:
            raise KeyboardInterrupt
        steps += 1
        x = torch.rand(16, 3, generator=generator)
        return {"loss": (model(x) - x.sum(1, keepdim=True)).square().mean()}

    train("sum", model, step_loss, settings, folder, validate=lambda: {"validation_loss": 0.5})


def test_the_loss_falls(tmp_path: Path) -> None:
    run(make_model(), tmp_path, replace(SETTINGS, steps=60))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["step"] == 4
    assert rows[-1]["step"] == 60
    assert rows[-1]["loss"] < 0.3 * rows[0]["loss"]
    assert rows[-1]["validation_loss"] == 0.5


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = make_model()
    run(whole, tmp_path / "whole", SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        run(make_model(), tmp_path / "stopped", SETTINGS, stop_at=6)
    resumed = make_model()
    run(resumed, tmp_path / "stopped", SETTINGS)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_other_settings_do_not_resume(tmp_path: Path) -> None:
    run(make_model(), tmp_path, SETTINGS)
    with pytest.raises(ArtifactError, match="made with other settings of the train loop"):
        run(make_model(), tmp_path, replace(SETTINGS, learning_rate=0.1))


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "sum.checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(ArtifactError, match=r"sum\.checkpoint\.pt is damaged.* delete"):
        run(make_model(), tmp_path, SETTINGS)


def test_the_learning_rate_warms_up_and_ends_low() -> None:
    """Two steps of warm-up: ½, 1; the cosine's end is 5 %."""
    shares = [learning_rate_share(step, SETTINGS) for step in range(13)]
    assert shares[:3] == [0.5, 1.0, 1.0]
    assert shares[12] == pytest.approx(0.05)
    assert shares[2:] == sorted(shares[2:], reverse=True)
