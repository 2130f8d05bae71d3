"""The demo job on a small world, with the shipped weights and every real library."""

import json
from pathlib import Path

import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.wiring import SHIPPED_WEIGHTS


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    generate_world(folder / "world", num_items=150, num_users=60, seed=11, size=72)
    arguments = ["--data", str(folder / "world"), "--weights", str(SHIPPED_WEIGHTS)]
    out = folder / "out"
    code = main(["demo", "--out", str(out), "--users", "3", *arguments])
    assert code == 0
    return out


def test_it_leaves_a_page_and_a_report(demo: Path) -> None:
    report = json.loads((demo / "report.json").read_text())
    assert report["counts"]["slates"] == 4
    assert report["counts"]["images made"] == 33
    assert (demo / "index.html").read_text().startswith("<!doctype html>")


def test_the_new_user_gets_a_cold_start_slate(demo: Path) -> None:
    report = json.loads((demo / "report.json").read_text())
    newcomer = report["users"][-1]["slate"]
    assert newcomer["reason"] == "unknown user: cold-start slate, no generated item"
    assert newcomer["generation"] is None
    assert len(newcomer["placements"]) == 10


def test_every_artifact_of_the_slot_is_there(demo: Path) -> None:
    for name in ("embedder.onnx", "index/manifest.json", "ranker.onnx", "feature_repo"):
        assert (demo / name).exists(), name


def test_an_unwritable_output_stops_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    assert main(["demo", "--out", str(tmp_path / "taken" / "out")]) == 1
    assert "cannot write into" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_missing_weights_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out"), "--weights", str(tmp_path / "none")]
    generate_world(tmp_path / "world", num_items=60, num_users=5, seed=1, size=64)
    assert main(["demo", "--data", str(tmp_path / "world"), *out]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "embedder.safetensors does not exist. Rebuild it with: pigeon-recsys train" in error


def test_no_users_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), "--users", "0"]) == 2
    assert "users must be at least 1, got 0" in capsys.readouterr().err
