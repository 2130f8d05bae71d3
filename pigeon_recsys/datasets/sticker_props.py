"""The seven things a figure can hold, at its lower right, each in colours of its own."""

import numpy as np

from pigeon_recsys.datasets.sticker_body import BOLD_GROW, THIN_GROW
from pigeon_recsys.datasets.sticker_palette import WHITE, Palette
from pigeon_recsys.datasets.sticker_shapes import (
    Canvas,
    Color,
    Points,
    arc,
    ellipse,
    heart,
    mix,
    points,
    star,
)

HALO_GROW = 1.5  # lifts a prop off a body of its own colour where no outline does

RED: Color = (232, 44, 84)
GOLD: Color = (255, 178, 24)
BLUE: Color = (58, 110, 240)
CREAM: Color = (255, 250, 240)
COFFEE: Color = (112, 66, 40)
PINK: Color = (255, 128, 184)
GREEN: Color = (44, 150, 82)
VIOLET: Color = (132, 62, 200)
TEAL: Color = (24, 172, 176)

Part = tuple[Points, Color]

FLOWER_HEAD = (76.0, 70.0)
UMBRELLA_TOP = np.concatenate(
    [
        arc(77, 74, 20, 21, 180, 360),
        arc(90.3, 74, 6.7, 4, 360, 180),
        arc(77, 74, 6.6, 4, 360, 180),
        arc(63.7, 74, 6.7, 4, 360, 180),
    ]
)


def _bar(x: float, top: float, bottom: float, width: float) -> Points:
    half = width / 2
    return points((x - half, top), (x + half, top), (x + half, bottom), (x - half, bottom))


def _petals() -> list[Part]:
    x, y = FLOWER_HEAD
    return [
        (ellipse(x + 9 * np.cos(a), y + 9 * np.sin(a), 7, 7), PINK)
        for a in np.radians(np.arange(5) * 72 - 90)
    ]


PARTS: dict[str, list[Part]] = {
    "none": [],
    "heart": [(heart(77, 77, 18), RED)],
    "star": [(star(77, 77, 20), GOLD)],
    "balloon": [
        (_bar(77, 84, 97, 1.4), mix(BLUE, WHITE, 0.4)),
        (points((77, 83), (73, 88), (81, 88)), BLUE),
        (ellipse(77, 67, 14.5, 17.5), BLUE),
    ],
    "cup": [
        (ellipse(90, 80, 7, 7), CREAM),
        (points((61, 69), (91, 69), (88, 92), (84, 95), (68, 95), (64, 92)), CREAM),
    ],
    "flower": [
        (_bar(76, 74, 97, 3.0), GREEN),
        (ellipse(83, 90, 7, 3.2, -28), GREEN),
        *_petals(),
    ],
    "umbrella": [(_bar(77, 70, 97, 2.4), COFFEE), (UMBRELLA_TOP, VIOLET)],
    "gift": [
        (ellipse(70, 64, 6.5, 4.2, 28), RED),
        (ellipse(84, 64, 6.5, 4.2, -28), RED),
        (points((62, 72), (92, 72), (92, 95), (62, 95)), TEAL),
        (points((60, 67), (94, 67), (94, 75), (60, 75)), TEAL),
    ],
}


def prop_outlines(prop: str) -> list[Points]:
    """Return the prop's outlines, back to front."""
    return [outline for outline, _ in PARTS[prop]]


def draw_prop(canvas: Canvas, prop: str, line: str, palette: Palette) -> None:
    """Paint the prop and the paw that holds it; nothing for `none`."""
    if prop == "none":
        return
    contour, grow = {
        "bold": (palette.ink, BOLD_GROW),
        "thin": (palette.accent, THIN_GROW),
        "flat": (WHITE, HALO_GROW),
        "border": (WHITE, HALO_GROW),
    }[line]
    for outline, _ in PARTS[prop]:
        canvas.fill(outline, contour, grow=grow)
    for outline, color in PARTS[prop]:
        canvas.fill(outline, color)
    _draw_details(canvas, prop)
    paw = ellipse(62, 88, 5.5, 5)
    canvas.fill(paw, contour, grow=grow * 0.8)
    canvas.fill(paw, palette.body)


def _draw_details(canvas: Canvas, prop: str) -> None:
    """Paint what lies inside the prop's outline."""
    if prop == "heart":
        canvas.fill(ellipse(69, 70, 3.6, 2.4, -40), mix(RED, WHITE, 0.7))
    elif prop == "star":
        canvas.fill(ellipse(73, 72, 3.4, 2.0, -40), mix(GOLD, WHITE, 0.75))
    elif prop == "balloon":
        canvas.fill(ellipse(71.5, 60, 2.6, 4.6, 24), mix(BLUE, WHITE, 0.75))
    elif prop == "cup":
        canvas.fill(ellipse(90, 80, 3.4, 3.6), COFFEE)
        canvas.fill(points((61, 69), (91, 69), (88, 92), (84, 95), (68, 95), (64, 92)), CREAM)
        canvas.fill(ellipse(76, 69, 14, 3.4), COFFEE)
        canvas.fill(heart(77, 83, 5), RED)
    elif prop == "flower":
        canvas.fill(ellipse(*FLOWER_HEAD, 5.6, 5.6), GOLD)
    elif prop == "umbrella":
        for x in (70.4, 83.6):
            canvas.stroke(points((77, 54), (x, 72)), 1.2, mix(VIOLET, WHITE, 0.5))
    elif prop == "gift":
        canvas.fill(_bar(77, 67, 95, 6), RED)
        canvas.fill(ellipse(77, 66, 3, 3), mix(RED, WHITE, 0.3))
