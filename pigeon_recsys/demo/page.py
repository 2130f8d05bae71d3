"""The demo as one self-contained page that needs no network, no server and no script.

In:  a `DemoReport`.
Out: `index.html`: `page.html` and `page.css` filled in, every picture inside as a data URI.

Ids and titles come from a dataset, so the template engine escapes every value, and the page's
content security policy forbids scripts and anything fetched.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from PIL import Image

from pigeon_recsys.demo.report import DemoReport, duration, story_outcome
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.records import Pixels, SweepImage, TokenMask

MAX_SIDE = 320  # pixels; larger pictures are shown, and stored in the page, at this size
CHART_HEIGHT = 100  # units of the chart's own coordinates; a sweep image is one unit wide
CHART_MARGIN = 0.12  # share of the score range left free above and below


def write_page(report: DemoReport, path: Path) -> None:
    """Write `index.html`, whole or not at all."""
    write_text_atomic(path, render_page(report))


def render_page(report: DemoReport) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "png_uri": png_uri,
        "score": format_score,
        "duration": duration,
        "date": _format_date,
        "hidden_cells": hidden_cells,
        "outcome": story_outcome,
        "chart": draw_chart,
    }
    page = environment.get_template("page.html")
    return page.render(report=report, style=_resource("page.css"))


def png_uri(pixels: Pixels) -> str:
    """Return a picture as a PNG data URI, at most `MAX_SIDE` on its longer side."""
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def format_score(score: float) -> str:
    """Return a score short enough for a caption; scales differ between scorers."""
    if not math.isfinite(score):
        return "unknown"
    return f"{score:.3f}" if abs(score) < 100 else f"{score:,.0f}"


def hidden_cells(mask: TokenMask) -> str:
    """Return an SVG path over the hidden tokens; a token is one unit wide and high."""
    hidden = (index for index, kept in enumerate(mask.keep) if not kept)
    return "".join(f"M{i % mask.columns} {i // mask.columns}h1v1h-1z" for i in hidden)


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """Three score curves over the sweep, as SVG paths, one unit a sweep image."""

    width: int
    height: int
    low: float
    high: float
    lines: tuple[tuple[str, str], ...]  # name of the curve, its path


def draw_chart(sweep: Sequence[SweepImage]) -> ScoreChart | None:
    """Return the curves of a sweep; None below two images or where a score is not finite."""
    curves = {
        "history": [image.history_score for image in sweep],
        "reference": [image.reference_score for image in sweep],
        "total": [image.score for image in sweep],
    }
    scores = [score for curve in curves.values() for score in curve]
    if len(sweep) < 2 or not all(math.isfinite(score) for score in scores):
        return None
    low, high = min(scores), max(scores)
    lines = tuple((name, _curve_path(curve, low, high)) for name, curve in curves.items())
    return ScoreChart(len(sweep), CHART_HEIGHT, low, high, lines)


def _curve_path(scores: Sequence[float], low: float, high: float) -> str:
    """Return a path through the middle of every image's column; larger scores stand higher."""
    span = (high - low) or 1.0
    shares = [CHART_MARGIN + (1 - 2 * CHART_MARGIN) * (score - low) / span for score in scores]
    points = [f"{i + 0.5} {CHART_HEIGHT * (1 - share):.1f}" for i, share in enumerate(shares)]
    return "M" + "L".join(points)


def _format_date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _resource(name: str) -> str:
    return files("pigeon_recsys.demo").joinpath(name).read_text(encoding="utf-8")
