"""Two processes train one ranker by TorchRec's DistributedModelParallel, as one process does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from pigeon_recsys.retrieval.faiss_index import FaissIndex
from tests.ranking.planted_world import ITEM_IDS, style_vectors, write_folder

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
EARLY_EPOCHS, EARLY_TOLERANCE = 10, 1e-5  # a rounding of 1e-8 at the start
TOLERANCE = 1e-3  # what 150 steps of Adam make of it


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a training with one thread a process: sums over more threads round differently."""
    ran = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path, repo_root: Path) -> None:
    """The same batches, the same dropout: losses, metrics and weights differ by rounding."""
    write_folder(tmp_path / "data")
    FaissIndex.build(ITEM_IDS, style_vectors()).save(tmp_path / "index")
    train = ["rank", "train", "--data", str(tmp_path / "data"), "--index", str(tmp_path / "index")]
    one = [*train, "--out", str(tmp_path / "one"), "--json", str(tmp_path / "one.json")]
    two = [*train, "--out", str(tmp_path / "two"), "--json", str(tmp_path / "two.json")]
    run([sys.executable, "-m", "pigeon_recsys.cli", *one], repo_root)
    ran = run([*TORCHRUN, "-m", "pigeon_recsys.cli", *two], repo_root)
    assert ran.stdout.count("rows in") == 1  # one process reports
    expected, found = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("one", "two"))
    assert (expected["num_processes"], found["num_processes"]) == (1, 2)
    losses, of_one = found["epoch_losses"], expected["epoch_losses"]
    early = of_one[:EARLY_EPOCHS]
    assert losses[:EARLY_EPOCHS] == pytest.approx(early, abs=EARLY_TOLERANCE)
    assert losses == pytest.approx(of_one, abs=TOLERANCE)
    for metric in ("auc", "auc_without_item_id", "ndcg_at_10", "log_loss", "calibration_error"):
        assert found[metric] == pytest.approx(expected[metric], abs=TOLERANCE)
    weights = load_file(tmp_path / "one" / "ranker.safetensors")
    sharded = load_file(tmp_path / "two" / "ranker.safetensors")
    assert weights.keys() == sharded.keys()
    for name, tensor in weights.items():
        strayed = (sharded[name] - tensor).abs().mean()
        assert strayed < 2e-3, name  # a single weight may stray further
