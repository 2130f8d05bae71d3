"""`make bench` runs every benchmark with an output and nothing else."""

import importlib
from pathlib import Path

import pytest

from benchmarks import slot_latency

NAMES = sorted(path.stem for path in Path(slot_latency.__file__).parent.glob("[a-z]*.py"))


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, where `make demo` was run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out" / "demo").mkdir(parents=True)
    file = tmp_path / "out" / "demo" / "slot.yaml"
    file.touch()
    return file


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_needs_no_argument_but_where_to_write(name: str, tmp_path: Path) -> None:
    benchmark = importlib.import_module(f"benchmarks.{name}")
    out = tmp_path / f"{name}.json"
    assert benchmark.parse_arguments(["--out", str(out)]).out == out


def test_without_the_demo_it_says_how_to_make_it(
    demo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.unlink()
    with pytest.raises(SystemExit):
        slot_latency.parse_arguments(["--out", "found.json"])
    told = "--demo: out/demo holds no slot.yaml. Run `make demo` to make out/demo.\n"
    assert capsys.readouterr().err.endswith(told)
