"""Loss curves as a picture."""

import json
from pathlib import Path

from PIL import Image

from pigeon_recsys.alignment.curves import draw_curves


def write_metrics(run: Path, stages: tuple[str, ...]) -> None:
    rows = [
        {"stage": stage, "step": step, "loss": 1 / step, "validation_loss": 2 / step}
        for stage in stages
        for step in (1, 2, 3)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def test_each_stage_gets_a_panel_of_its_own(tmp_path: Path) -> None:
    write_metrics(tmp_path, ("tokenizer",))
    draw_curves(tmp_path)
    width, height = size_of(tmp_path / "curves.png")
    write_metrics(tmp_path, ("tokenizer", "backbone"))
    draw_curves(tmp_path)
    assert size_of(tmp_path / "curves.png") == (width, 2 * height)


def test_a_run_without_metrics_gets_no_picture(tmp_path: Path) -> None:
    draw_curves(tmp_path)
    assert list(tmp_path.iterdir()) == []
