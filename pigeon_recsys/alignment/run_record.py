"""What a training leaves in its run folder for people to look at.

metrics.jsonl          one line each time losses are logged: stage, step, seconds, metrics
curves.png             those lines as curves, one panel a stage
samples/STAGE-STEP.png what the model makes at that step, beside what it should make
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pigeon_recsys.files import write_bytes_atomic, write_text_atomic
from pigeon_recsys.generation.picture_file import encode_png
from pigeon_recsys.generation.xmp import COMPOSITE
from pigeon_recsys.records import Pixels

logger = logging.getLogger(__name__)

Samples = Callable[[], Sequence[Pixels]]
"""Returns columns of pictures (N, H, W, 3) to lay side by side, such as targets and results."""

METRICS_FILE = "metrics.jsonl"
SAMPLES_FOLDER = "samples"


@dataclass(frozen=True)
class RunRecord:
    """The record of one stage in a run folder."""

    run: Path
    stage: str

    def forget_after(self, step: int) -> None:
        """Drop this stage's lines beyond `step`: a resumed run is about to write them again."""
        rows = read_metrics(self.run)
        kept = [row for row in rows if row["stage"] != self.stage or row["step"] <= step]
        if len(kept) < len(rows):
            text = "".join(json.dumps(row) + "\n" for row in kept)
            write_text_atomic(self.run / METRICS_FILE, text)

    def log(self, step: int, seconds: float, metrics: Mapping[str, float]) -> None:
        """Append one line of metrics."""
        row: dict[str, Any] = {"stage": self.stage, "step": step, "seconds": round(seconds, 2)}
        row |= {key: round(value, 6) for key, value in metrics.items()}
        with (self.run / METRICS_FILE).open("a") as file:
            file.write(json.dumps(row) + "\n")
        logger.info("%s", row)

    def save_samples(self, step: int, columns: Sequence[Pixels]) -> None:
        """Write a sheet with one row a picture and one column a variant."""
        sheet = np.concatenate([np.concatenate(list(column), axis=0) for column in columns], axis=1)
        target = self.run / SAMPLES_FOLDER / f"{self.stage}-{step:06d}.png"
        write_bytes_atomic(target, encode_png(sheet, COMPOSITE))


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return all whole lines of the run's metrics; a killed process may leave half a line."""
    path = run / METRICS_FILE
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            logger.warning("%s: left out the broken line %r", path, line)
    return rows
