"""The loss curves of a run as one picture.

In:  `metrics.jsonl` of a run folder.
Out: `curves.png` beside it: a panel a stage, its training loss and its validation loss.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.alignment.early_stopping import METRIC
from pigeon_recsys.alignment.run_record import read_metrics
from pigeon_recsys.errors import MissingExtra
from pigeon_recsys.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES_FILE = "curves.png"
PANEL_INCHES = (7.0, 2.6)
DRAWN = {"loss": "training", METRIC: "validation, other users"}


def draw_curves(run: Path) -> None:
    """Draw the run's curves anew; a run without metrics gets none."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as exc:
        raise MissingExtra("model", needed_for="drawing loss curves", library="matplotlib") from exc
    rows = read_metrics(run)
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    if not stages:
        return
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width, height * len(stages)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(stages), squeeze=False)
    for panel, stage in zip(panels[:, 0], stages, strict=True):
        _draw_panel(panel, stage, [row for row in rows if row["stage"] == stage])
    with atomic_path(run / CURVES_FILE) as temporary:
        figure.savefig(temporary, format="png")


def _draw_panel(panel: "Axes", stage: str, rows: list[dict[str, Any]]) -> None:
    for key, label in DRAWN.items():
        points = [(row["step"], row[key]) for row in rows if key in row]
        if points:
            panel.plot(*zip(*points, strict=True), label=label, marker=".", markersize=3)
    panel.set_title(stage)
    panel.set_xlabel("step")
    panel.set_ylabel("loss")
    panel.grid(alpha=0.3)
    panel.legend()
