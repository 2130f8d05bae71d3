"""Draw one sticker of the built-in world: a small animal with a mood and, perhaps, a prop.

In:  a `Sticker` (four style factors, two content factors), a size and a random generator.
Out: its picture. The generator only jitters pose and colour, so the same state of it gives
     the same bytes.

Style is how a sticker looks and belongs to the taste of a user; content is what it says and
belongs to the need of the moment.
"""

from dataclasses import dataclass, fields

import numpy as np

from pigeon_recsys.datasets.sticker_body import draw_body, silhouette
from pigeon_recsys.datasets.sticker_face import draw_face
from pigeon_recsys.datasets.sticker_palette import PALETTES, WHITE, Palette
from pigeon_recsys.datasets.sticker_props import draw_prop, prop_outlines
from pigeon_recsys.datasets.sticker_shapes import Canvas, ellipse, mix, points
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.records import Pixels

STYLE_FACTORS: dict[str, tuple[str, ...]] = {
    "character": ("cat", "bear", "bunny", "frog", "chick", "ghost"),
    "palette": ("coral", "mint", "sky", "lavender", "lemon", "cocoa"),
    "line": ("bold", "thin", "flat", "border"),
    "background": ("plain", "circle", "dots", "stripes", "rays"),
}
CONTENT_FACTORS: dict[str, tuple[str, ...]] = {
    "emotion": ("happy", "sad", "angry", "surprised", "love", "sleepy", "playful", "cool"),
    "prop": ("none", "heart", "star", "balloon", "cup", "flower", "umbrella", "gift"),
}
FACTORS: dict[str, tuple[str, ...]] = STYLE_FACTORS | CONTENT_FACTORS

MIN_SIZE = 64  # pixels; below it a mouth is two pixels high

MAX_SHIFT = 1.0  # sticker units, per axis
MAX_SCALE = 0.02
MAX_TILT_DEG = 2.0
MAX_COLOR_SHIFT = 5  # of 255, per channel

BORDER_GROW = 3.4  # width of the white die-cut border
SHADOW_GROW = 4.4
SHADOW_SHIFT = np.array([1.2, 2.2])


@dataclass(frozen=True)
class Sticker:
    """The six factors a sticker is made from; every value is listed in `FACTORS`."""

    character: str
    palette: str
    line: str
    background: str
    emotion: str
    prop: str

    def __post_init__(self) -> None:
        for factor in fields(self):
            value = getattr(self, factor.name)
            if value not in FACTORS[factor.name]:
                raise SettingsError(
                    f"sticker {factor.name} {value!r} does not exist. "
                    f"Choose one of: {', '.join(FACTORS[factor.name])}."
                )


def draw_sticker(sticker: Sticker, size: int, rng: np.random.Generator) -> Pixels:
    """Return the sticker's picture (size, size, 3); the same generator state, the same bytes."""
    if size < MIN_SIZE:
        raise SettingsError(
            f"a sticker's size must be at least {MIN_SIZE} pixels, got {size}. Use 96."
        )
    palette = PALETTES[sticker.palette].shifted(
        rng.integers(-MAX_COLOR_SHIFT, MAX_COLOR_SHIFT + 1, size=3)
    )
    shift_x, shift_y, scale, tilt = rng.uniform(-1, 1, size=4)
    canvas = Canvas(size, palette.paper)
    draw_background(canvas, sticker.background, palette)
    canvas.pose(
        shift=(shift_x * MAX_SHIFT, shift_y * MAX_SHIFT),
        scale=1 + scale * MAX_SCALE,
        tilt_deg=tilt * MAX_TILT_DEG,
    )
    if sticker.line == "border":
        draw_border(canvas, sticker, palette)
    draw_body(canvas, sticker.character, sticker.line, palette)
    draw_face(canvas, sticker.character, sticker.emotion, palette)
    draw_prop(canvas, sticker.prop, sticker.line, palette)
    return canvas.pixels()


def draw_border(canvas: Canvas, sticker: Sticker, palette: Palette) -> None:
    """Paint the white die-cut border and the soft shadow it casts."""
    outlines = [*silhouette(sticker.character), *prop_outlines(sticker.prop)]
    canvas.shadow([outline + SHADOW_SHIFT for outline in outlines], palette.ink, grow=SHADOW_GROW)
    for outline in outlines:
        canvas.fill(outline, WHITE, grow=BORDER_GROW)


def draw_background(canvas: Canvas, background: str, palette: Palette) -> None:
    """Paint what lies behind the figure, over the plain tint of the paper."""
    pattern = palette.pattern
    if background == "circle":
        canvas.fill(points((0, 0), (100, 0), (100, 100), (0, 100)), mix(palette.paper, WHITE, 0.8))
        canvas.fill(ellipse(50, 50, 48, 48), pattern)
    elif background == "dots":
        for row in range(7):
            for column in range(7):
                x = column * 18 - 4 + (9 if row % 2 else 0)
                canvas.fill(ellipse(x, row * 16 + 2, 4.2, 4.2), pattern)
    elif background == "stripes":
        for start in range(-100, 100, 22):
            canvas.fill(
                points((start, 0), (start + 11, 0), (start + 111, 100), (start + 100, 100)), pattern
            )
    elif background == "rays":
        for ray in range(10):
            start, end = np.radians(ray * 36), np.radians(ray * 36 + 18)
            canvas.fill(
                points(
                    (50, 54),
                    (50 + 90 * np.cos(start), 54 + 90 * np.sin(start)),
                    (50 + 90 * np.cos(end), 54 + 90 * np.sin(end)),
                ),
                pattern,
            )
