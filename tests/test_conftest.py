"""The rule about skips: none under CI, except where a GPU is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING_TESTS = """
import pytest

def test_runs(): pass

def test_skips(): pytest.skip("no broker here")

@pytest.mark.xfail(reason="known")
def test_fails_as_known(): assert False

@pytest.mark.gpu
def test_on_gpu(): pass
"""
TORCH_WITHOUT_CUDA = "class cuda:\n    is_available = staticmethod(lambda: False)\n"
SKIPPING_FILE = 'import pytest\npytest.skip("no browser here", allow_module_level=True)\n'


@pytest.fixture
def suite(tmp_path: Path, repo_root: Path) -> Path:
    """A small suite under this suite's conftest, with a skipped test and a skipped file."""
    shutil.copy(repo_root / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu\n")
    (tmp_path / "torch.py").write_text(TORCH_WITHOUT_CUDA)
    (tmp_path / "test_skipping.py").write_text(SKIPPING_TESTS)
    (tmp_path / "test_skipping_file.py").write_text(SKIPPING_FILE)
    return tmp_path


def outcome(suite: Path, ci: str) -> str:
    """Run the suite and return what pytest printed."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--continue-on-collection-errors",
        ],
        cwd=suite,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_under_ci_a_skip_fails_and_tells_its_reason(suite: Path) -> None:
    printed = outcome(suite, ci="true")
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error" in printed
    assert "no broker here" in printed
    assert "no browser here" in printed


def test_elsewhere_a_skip_is_a_skip(suite: Path) -> None:
    assert "1 passed, 3 skipped, 1 xfailed" in outcome(suite, ci="")
