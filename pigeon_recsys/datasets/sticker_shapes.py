"""The pen of the sticker artist: outlines as points, and a canvas that paints them smoothly.

In:  outlines in sticker units, where the square runs from (0, 0) at the top left to (100, 100).
Out: an anti-aliased RGB picture, painted four times too large and then averaged down.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pigeon_recsys.records import Pixels

Points = NDArray[np.float64]  # (P, 2), x then y, in sticker units
Color = tuple[int, int, int]

SUPERSAMPLING = 4  # painted pixels per final pixel, along each side
SHADOW_OPACITY = 150  # of 255
SHADOW_BLUR = 1.1  # sticker units; blurred at final size, where it costs a sixteenth


@cache  # the artist asks for the same few hundred outlines again and again
def ellipse(x: float, y: float, rx: float, ry: float, tilt_deg: float = 0.0) -> Points:
    """Return the outline of an ellipse centred on (x, y)."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    upright = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=1)
    placed: Points = turned(upright, tilt_deg) + np.array([x, y])
    return placed


@cache
def arc(x: float, y: float, rx: float, ry: float, start_deg: float, end_deg: float) -> Points:
    """Return a curve along an ellipse; 0 degrees is right, 90 degrees is down."""
    angle = np.radians(np.linspace(start_deg, end_deg, 16))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


@cache
def heart(x: float, y: float, radius: float) -> Points:
    """Return a heart about `radius` wide to each side of (x, y)."""
    t = np.linspace(0, 2 * np.pi, 44, endpoint=False)
    across = 16 * np.sin(t) ** 3
    up = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x + across * radius / 16, y - (up + 2) * radius / 16], axis=1)


def star(x: float, y: float, radius: float) -> Points:
    """Return a plump five-pointed star."""
    angle = np.radians(np.arange(10) * 36 - 90)
    reach = np.where(np.arange(10) % 2 == 0, radius, radius * 0.55)
    return np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1)


def points(*pairs: tuple[float, float]) -> Points:
    """Return corners given one by one."""
    return np.array(pairs, dtype=np.float64)


def turned(outline: Points, degrees: float) -> Points:
    """Return an outline turned clockwise about the origin."""
    angle = np.radians(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    spun: Points = outline @ np.array([[cos, sin], [-sin, cos]])
    return spun


def mix(color: Color, other: Color, share: float) -> Color:
    """Return `color` with `share` of `other` stirred in."""
    red, green, blue = (
        round(a * (1 - share) + b * share) for a, b in zip(color, other, strict=True)
    )
    return red, green, blue


class Canvas:
    """A square sheet painted in sticker units; `pose` moves everything painted after it."""

    def __init__(self, size: int, paper: Color) -> None:
        self.size = size
        side = size * SUPERSAMPLING
        self.unit = side / 100
        self.image = Image.new("RGB", (side, side), paper)
        self._pen = ImageDraw.Draw(self.image)
        self._matrix = np.eye(2) * self.unit
        self._offset = np.zeros(2)

    def pose(self, *, shift: tuple[float, float], scale: float, tilt_deg: float) -> None:
        """Move, scale and tilt what is painted from now on, about the middle of the sheet."""
        centre = np.array([50.0, 50.0])
        self._matrix = turned(np.eye(2), tilt_deg) * scale * self.unit
        self._offset = (centre + shift) * self.unit - centre @ self._matrix

    def fill(self, outline: Points, color: Color, *, grow: float = 0.0) -> None:
        """Fill an outline, first pushed outwards by `grow` sticker units."""
        self._fill(self._pen, outline, color, grow)

    def stroke(self, line: Points, width: float, color: Color) -> None:
        """Paint an open line with round ends."""
        _round_line(self._pen, self._place(line), width * self.unit, color)

    def shadow(self, outlines: Sequence[Points], color: Color, *, grow: float) -> None:
        """Cast one soft shadow of all `outlines`, pushed outwards by `grow`."""
        cover = Image.new("L", self.image.size, 0)
        pen = ImageDraw.Draw(cover)
        for outline in outlines:
            self._fill(pen, outline, SHADOW_OPACITY, grow)
        soft = cover.reduce(SUPERSAMPLING).filter(
            ImageFilter.GaussianBlur(SHADOW_BLUR * self.size / 100)
        )
        self.image.paste(color, mask=soft.resize(self.image.size, Image.Resampling.BILINEAR))

    def pixels(self) -> Pixels:
        """Return the finished picture (size, size, 3)."""
        return np.asarray(self.image.reduce(SUPERSAMPLING))

    def _place(self, outline: Points) -> Points:
        placed: Points = outline @ self._matrix + self._offset
        return placed

    def _fill(
        self, pen: ImageDraw.ImageDraw, outline: Points, color: Color | int, grow: float
    ) -> None:
        corners = self._place(outline)
        pen.polygon(corners.ravel().tolist(), fill=color)
        if grow:
            closed = np.concatenate([corners, corners[:1]])
            _round_line(pen, closed, 2 * grow * self.unit, color)


def _round_line(
    pen: ImageDraw.ImageDraw, corners: Points, width: float, color: Color | int
) -> None:
    """Paint a line with a disc on every corner; Pillow's own round joints take six times longer."""
    pen.line(corners.ravel().tolist(), fill=color, width=round(width))
    radius = width / 2
    for box in np.concatenate([corners - radius, corners + radius], axis=1).tolist():
        pen.ellipse(box, fill=color)
