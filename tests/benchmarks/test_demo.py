"""The demo benchmark: a fresh process is timed, and the demo's own report is carried over.

The demo takes over half a minute even for two users, so a small program stands in for it here.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import demo
from benchmarks.demo import best_time, main
from pigeon_recsys.demo.report import DemoReport
from tests.benchmarks.conftest import ReadResult

REPORT = {"timings": [{"stage": "slates", "seconds": 0.5}], "counts": {"slates": 3}}
STAND_IN = "import pathlib, sys; pathlib.Path(sys.argv[1], 'report.json').write_text(sys.argv[2])"


def test_the_demo_is_timed_with_its_stages_and_memory(
    tmp_path: Path, read_result: ReadResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    run = subprocess.run

    def run_stand_in(
        command: Sequence[str], **options: object
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run imports as they are, and a program that writes a report instead of the demo."""
        asked.append(list(command))
        if "demo" in command:
            folder = command[command.index("--out") + 1]
            return run([sys.executable, "-c", STAND_IN, folder, json.dumps(REPORT)], check=True)
        return run(command, check=True, stdout=subprocess.DEVNULL)

    # Replaced in the benchmark alone: others ask the system by the same function what it is.
    monkeypatch.setattr(
        demo, "subprocess", SimpleNamespace(run=run_stand_in, DEVNULL=subprocess.DEVNULL)
    )
    main(["--out", str(tmp_path / "demo.json"), "--users", "3", "--repeats", "2"])
    settings, figures = read_result(tmp_path / "demo.json")
    assert settings == {"users": 3, "repeats_of_imports": 2}
    assert figures["stages"] == REPORT["timings"]
    assert figures["counts"] == REPORT["counts"]
    assert min(figures[name] for name in ("import_s", "help_s", "peak_memory_mib")) > 0
    assert figures["wall_s"] >= 0
    imports, helps = asked[:2], asked[2:4]
    assert all(command[1:] == ["-c", "import pigeon_recsys"] for command in imports)
    assert all(command[1:] == ["-m", "pigeon_recsys.cli", "--help"] for command in helps)
    assert asked[4][1:5] == ["-m", "pigeon_recsys.cli", "demo", "--out"]
    assert asked[4][6:] == ["--users", "3"]


def test_the_real_report_holds_what_the_benchmark_reads() -> None:
    """The stand-in above would not notice if the report named them otherwise."""
    assert {"timings", "counts"} <= set(DemoReport.__dataclass_fields__)


def test_a_program_that_fails_is_not_timed() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        best_time([sys.executable, "-c", "raise SystemExit(3)"], repeats=1)
