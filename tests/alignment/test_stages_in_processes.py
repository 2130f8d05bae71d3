"""Real stages by the command line: in two processes, and killed."""

import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.cli import main
from pigeon_recsys.datasets.world import generate_world
from tests.alignment.record_curves import RECIPE, STEPS
from tests.alignment.test_processes import run_two

pytestmark = pytest.mark.slow

LOOP = {"accumulate": 2, "validate_every": 2, "save_every": 2}


@dataclass(frozen=True)
class Prepared:
    """A run folder with what a stage reads, and the options that train it there."""

    folder: Path

    def arguments(self, stage: str, run: Path) -> list[str]:
        """Return a command line that trains a stage in a copy of the run folder."""
        if not run.exists():
            shutil.copytree(self.folder / "run", run)
        options = {"data": self.folder / "data", "recipe": self.folder / "tiny.yaml", "out": run}
        named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return ["train", stage, *named]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    generate_world(folder / "data", num_items=60, num_users=40, seed=3, size=64)
    recipe: dict[str, Any] = RECIPE.model_dump(mode="json")
    for stage in ("backbone", "stage1"):
        recipe[stage] |= LOOP
    (folder / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    made = Prepared(folder)
    (folder / "run").mkdir()
    for stage in ("embedder", "tokenizer", "refiner", "backbone"):
        assert main(made.arguments(stage, folder / "run")) == 0
    return made


def rows(run: Path, stage: str) -> list[dict[str, Any]]:
    """Return what a stage logged, but for the time it took."""
    found = [row for row in read_metrics(run) if row["stage"] == stage]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


def test_two_processes_train_stage_1_as_one_does(
    prepared: Prepared, tmp_path: Path, repo_root: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(prepared.arguments("stage1", one)) == 0
    done = run_two(["pigeon_recsys.cli", *prepared.arguments("stage1", two)], repo_root)
    assert done.returncode == 0, done.stderr
    assert len(rows(two, "stage1")) == STEPS
    for expected, found in zip(rows(one, "stage1"), rows(two, "stage1"), strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_more_processes_than_micro_batches_are_told_what_to_set(
    prepared: Prepared, tmp_path: Path, repo_root: Path
) -> None:
    """The tokenizer's part of the recipe leaves `accumulate` at 1."""
    done = run_two(
        ["pigeon_recsys.cli", *prepared.arguments("tokenizer", tmp_path / "run")], repo_root
    )
    assert done.returncode != 0
    assert "Set accumulate: 2 in the recipe's stage." in done.stderr


def test_a_stage_killed_by_sigkill_goes_on_bit_for_bit(
    prepared: Prepared, tmp_path: Path, repo_root: Path
) -> None:
    """Killed in step 5, saved at step 4: the language model ends as one that was not killed."""
    killed, weights = tmp_path / "killed", Path("backbone") / "language_model.safetensors"
    arguments = prepared.arguments("backbone", killed)
    before = (killed / weights).read_bytes()
    (killed / weights).unlink()
    command = [sys.executable, "-m", "tests.alignment.dying_train", "5", *arguments]
    assert subprocess.run(command, cwd=repo_root, check=False).returncode == -signal.SIGKILL
    assert [row["step"] for row in rows(killed, "backbone")][-5:] == [1, 2, 3, 4, 5]
    assert not (killed / weights).exists()
    assert main(arguments) == 0
    assert (killed / weights).read_bytes() == before
    assert rows(killed, "backbone") == rows(prepared.folder / "run", "backbone")
