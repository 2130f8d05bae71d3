"""The six figures: outline, ears and whatever makes a cat a cat."""

from collections.abc import Sequence

import numpy as np

from pigeon_recsys.datasets.sticker_palette import WHITE, Palette
from pigeon_recsys.datasets.sticker_shapes import (
    Canvas,
    Color,
    Points,
    arc,
    ellipse,
    mix,
    points,
)

BOLD_GROW = 2.4  # outline widths, in sticker units
THIN_GROW = 1.5

HEAD = ellipse(48, 50, 35, 29)
TORSO = ellipse(47, 82, 21, 15)
FEET = (ellipse(36, 94, 8, 5), ellipse(58, 94, 8, 5))
BEAK: Color = (255, 152, 44)

CAT_EARS = (
    points((16, 44), (17, 12), (21, 10), (44, 27)),
    points((80, 44), (79, 12), (75, 10), (52, 27)),
)
CAT_EAR_INSIDES = (points((22, 33), (22, 18), (35, 27)), points((74, 33), (74, 18), (61, 27)))
BEAR_EARS = (ellipse(21, 26, 12, 12), ellipse(75, 26, 12, 12))
BUNNY_EARS = (ellipse(33, 22, 9, 21, -8), ellipse(63, 22, 9, 21, 8))
FROG_BUMPS = (ellipse(29, 26, 13, 13), ellipse(67, 26, 13, 13))
CHICK_TUFT = (
    ellipse(48, 16, 4, 9),
    ellipse(41, 18, 3.6, 8, -32),
    ellipse(55, 18, 3.6, 8, 32),
)
CHICK_WINGS = (ellipse(13, 60, 7, 12, 28), ellipse(83, 60, 7, 12, -28))
GHOST = np.concatenate(
    [
        arc(48, 48, 35, 37, 180, 360),
        arc(74.75, 86, 8.25, 9, 0, 180),
        arc(57, 86, 9, 6, 360, 180),
        arc(39, 86, 9, 9, 0, 180),
        arc(21.5, 86, 8.5, 6, 360, 180),
    ]
)
GHOST_ARMS = (ellipse(12, 66, 8, 5, -35), ellipse(84, 66, 8, 5, 35))


def silhouette(character: str) -> list[Points]:
    """Return every outline of the figure, back to front."""
    return [*_back(character), *_front(character)]


def draw_body(canvas: Canvas, character: str, line: str, palette: Palette) -> None:
    """Paint the figure without its face."""
    draw_outlined(canvas, _back(character), line, palette, palette.shade)
    if character != "ghost":
        canvas.fill(ellipse(47, 84, 12, 10), palette.pale)
    draw_outlined(canvas, _front(character), line, palette, palette.body)
    _draw_markings(canvas, character, palette)


def draw_outlined(
    canvas: Canvas, outlines: Sequence[Points], line: str, palette: Palette, color: Color
) -> None:
    """Fill outlines that touch as one shape, with the contour the line style asks for."""
    if line == "bold":
        for outline in outlines:
            canvas.fill(outline, palette.ink, grow=BOLD_GROW)
    elif line == "thin":
        for outline in outlines:
            canvas.fill(outline, palette.accent, grow=THIN_GROW)
    for outline in outlines:
        canvas.fill(outline, color)


def _back(character: str) -> list[Points]:
    """Return what the head covers."""
    if character == "ghost":
        return list(GHOST_ARMS)
    if character == "chick":
        return [*CHICK_WINGS, TORSO, *FEET]
    return [TORSO, *FEET]


def _front(character: str) -> list[Points]:
    """Return the head with what grows from it."""
    if character == "ghost":
        return [GHOST]
    ears: dict[str, Sequence[Points]] = {
        "cat": CAT_EARS,
        "bear": BEAR_EARS,
        "bunny": BUNNY_EARS,
        "frog": FROG_BUMPS,
        "chick": CHICK_TUFT,
    }
    return [*ears[character], HEAD]


def _draw_markings(canvas: Canvas, character: str, palette: Palette) -> None:
    """Paint what lies inside the head's outline, below eyes and mouth."""
    canvas.fill(ellipse(33, 30, 6, 2.6, -28), mix(palette.body, WHITE, 0.45))
    draw = {
        "cat": _mark_cat,
        "bear": _mark_bear,
        "bunny": _mark_bunny,
        "frog": _mark_frog,
        "chick": _mark_chick,
    }.get(character)
    if draw:
        draw(canvas, palette)


def _mark_cat(canvas: Canvas, palette: Palette) -> None:
    for inside in CAT_EAR_INSIDES:
        canvas.fill(inside, palette.pale)
    for side in (-1, 1):
        for rise in (0, 5):
            whisker = points((48 + side * 26, 59 + rise), (48 + side * 39, 57 + rise * 1.6))
            canvas.stroke(whisker, 1.3, palette.ink)
    canvas.fill(points((45, 55), (51, 55), (48, 58.5)), palette.accent, grow=0.8)


def _mark_bear(canvas: Canvas, palette: Palette) -> None:
    for x in (21, 75):
        canvas.fill(ellipse(x, 26, 7, 7), palette.pale)
    canvas.fill(ellipse(48, 63, 15, 12), palette.pale)
    canvas.fill(ellipse(48, 56, 4.6, 3.2), palette.ink)


def _mark_bunny(canvas: Canvas, palette: Palette) -> None:
    canvas.fill(ellipse(33, 22, 4.6, 15, -8), palette.pale)
    canvas.fill(ellipse(63, 22, 4.6, 15, 8), palette.pale)
    canvas.fill(ellipse(48, 56.5, 2.8, 2.0), palette.accent)


def _mark_frog(canvas: Canvas, palette: Palette) -> None:
    canvas.fill(ellipse(48, 66, 27, 11), palette.pale)
    for x in (44, 52):
        canvas.fill(ellipse(x, 50, 1.2, 1.4), palette.accent)


def _mark_chick(canvas: Canvas, palette: Palette) -> None:
    del palette  # a beak is orange on every chick
    canvas.fill(points((41, 56), (48, 52.5), (55, 56), (48, 61)), BEAK, grow=1.0)
