"""`pigeon-recsys train evaluator`: what a person meets."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.evaluation import evaluator_training


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(evaluator_training, "BATCH", 8)
    generate_world(tmp_path / "world", num_items=50, num_users=3, seed=4, size=64)
    folders = ["--data", str(tmp_path / "world"), "--out", str(tmp_path / "evaluator")]
    return ["train", "evaluator", *folders, "--steps", "1"]


def test_the_command_prints_how_far_the_stand_in_can_be_trusted(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "items 50, view_recall_at_1 " in shown
    assert "view_recall_at_1_of_same_text" in shown


def test_where_every_text_is_its_own_none_is_told_apart(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Posters: no two share a title, so one figure is missing and the command still ends."""
    path = tmp_path / "world" / "items.parquet"
    items = pq.read_table(path)
    place = items.column_names.index("caption")
    pq.write_table(
        items.set_column(place, "caption", pa.array([f"film {n}" for n in range(50)])), path
    )
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "text_in_nearest_5" in shown
    assert "of_same_text" not in shown
