"""Pictures, token masks and score curves as a page draws them: data URIs and SVG paths.

In:  pixels, a token mask, a sweep, a score.
Out: texts that stand in HTML. A picture that a model made says so also when it is saved from there.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np
from PIL import Image

from pigeon_recsys.generation.picture_file import encode_png
from pigeon_recsys.generation.sweep_record import SweepScore
from pigeon_recsys.generation.xmp import GENERATED
from pigeon_recsys.records import Pixels, Provenance, SweepImage, TokenMask

MAX_SIDE = 320  # pixels; larger pictures are shown, and stored in the page, at this size
CHART_HEIGHT = 100  # units of the chart's own coordinates; a sweep image is one unit wide
CHART_MARGIN = 0.12  # share of the score range left free above and below


def png_uri(pixels: Pixels, is_generated: bool = False, max_side: int = MAX_SIDE) -> str:
    """Return a picture as a PNG data URI, at most `max_side` on its longer side."""
    image = Image.fromarray(pixels)
    image.thumbnail((max_side, max_side))
    content = encode_png(np.asarray(image), GENERATED if is_generated else None)
    return "data:image/png;base64," + base64.b64encode(content).decode()


def format_score(score: float) -> str:
    """Return a score short enough for a caption; scales differ between scorers."""
    if not math.isfinite(score):
        return "unknown"
    return f"{score:.3f}" if abs(score) < 100 else f"{score:,.0f}"


def format_date(at_ms: int) -> str:
    """Return epoch milliseconds as a date and a time of day, UTC."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


class Swept(Protocol):
    """A picture that was chosen from a sweep, whether its other pictures are known or not."""

    @property
    def provenance(self) -> Provenance:
        """Which ratio was chosen."""

    @property
    def sweep(self) -> tuple[SweepImage | SweepScore, ...]:
        """What was made at every ratio, and its scores."""


def chosen_image(made: Swept) -> SweepImage | SweepScore | None:
    """Return what of a sweep became the generated item; None where nothing was swept."""
    ratio = made.provenance.reference_mask_ratio
    return next((one for one in made.sweep if math.isclose(one.reference_mask_ratio, ratio)), None)


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


def draw_chart(sweep: Sequence[SweepImage | SweepScore]) -> ScoreChart | None:
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
