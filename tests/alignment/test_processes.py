"""Several processes train as one does."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn

from pigeon_recsys.alignment import processes
from pigeon_recsys.alignment.optimizers import OptimizerKind
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.errors import SettingsError
from tests.alignment.tiny_training import SETTINGS, learn_sums, make_model

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}


def run_two(arguments: list[str], repo_root: Path) -> subprocess.CompletedProcess[str]:
    """Run a module in two processes on this machine; torchrun chooses a free port."""
    return subprocess.run(
        [*TORCHRUN, "-m", *arguments],
        cwd=repo_root,
        env=os.environ | LOOPBACK,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", get_args(OptimizerKind))
def test_two_processes_train_as_one_does_with_the_same_global_batch(
    tmp_path: Path, repo_root: Path, optimizer: OptimizerKind
) -> None:
    """One process computes both micro batches of each step, or each of two processes one; the
    draws are the same, dropout included."""
    one = make_model()
    learn_sums(one, tmp_path / "one", replace(SETTINGS, accumulate=2, optimizer=optimizer))
    options = ["--accumulate", "2", "--optimizer", optimizer]
    two = run_two(["tests.alignment.tiny_training", str(tmp_path / "two"), *options], repo_root)
    assert two.returncode == 0, two.stderr
    rows_one, rows_two = read_metrics(tmp_path / "one"), read_metrics(tmp_path / "two")
    assert [row["step"] for row in rows_two] == list(range(1, SETTINGS.steps + 1))
    for expected, found in zip(rows_one, rows_two, strict=True):
        assert found.keys() == expected.keys()
        for key in found.keys() - {"stage", "seconds"}:
            assert found[key] == pytest.approx(expected[key], abs=1e-4)
    weights = torch.load(tmp_path / "two" / "sum.checkpoint.pt", weights_only=True)["weights"]
    for name, tensor in one.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-4, rtol=0)


def test_one_process_computes_all_micro_batches_and_writes() -> None:
    with processes.joined():
        assert list(processes.own_micro_batches(3)) == [0, 1, 2]
        assert processes.num_processes() == 1
        assert processes.is_first()


def test_alone_nothing_is_exchanged() -> None:
    parameter = nn.Parameter(torch.ones(2))
    processes.sum_gradients([parameter])
    assert parameter.grad is None
    assert processes.summed({"loss": 0.5}) == {"loss": 0.5}


def test_gradients_are_summed_and_an_unused_parameter_keeps_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second process with the same gradients doubles them; nobody met the last parameter."""
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: tensor.mul_(2))
    matrix, vector, unused = (nn.Parameter(torch.zeros(s)) for s in ((2, 2), (3,), (1,)))
    matrix.grad, vector.grad = torch.arange(4.0).view(2, 2), torch.ones(3)
    processes.sum_gradients([matrix, vector, unused])
    assert matrix.grad.tolist() == [[0, 2], [4, 6]]
    assert vector.grad.tolist() == [2, 2, 2]
    assert unused.grad is None


def test_an_uneven_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "num_processes", lambda: 4)
    with pytest.raises(SettingsError, match="number of processes, 4.* got 6. Set accumulate: 4"):
        processes.own_micro_batches(6)
