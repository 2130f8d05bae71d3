"""The eight moods: eyes, brows, mouth and the small signs around them."""

from pigeon_recsys.datasets.sticker_palette import WHITE, Palette
from pigeon_recsys.datasets.sticker_shapes import Canvas, Color, arc, ellipse, heart, mix, points

BLUSH: Color = (255, 120, 140)
TONGUE: Color = (255, 112, 130)
MOUTH: Color = (122, 28, 48)
LOVE: Color = (236, 36, 84)
TEAR: Color = (64, 156, 255)
RAGE: Color = (226, 30, 40)
GLASSES: Color = (30, 30, 44)

EYE_Y = {"frog": 31.0}  # a frog's eyes sit in its bumps
EYE_SPREAD = {"frog": 19.0}
DEFAULT_EYE_Y = 46.0
DEFAULT_EYE_SPREAD = 16.0
MIDDLE_X = 48.0
MOUTH_Y = 64.0


def draw_face(canvas: Canvas, character: str, emotion: str, palette: Palette) -> None:
    """Paint the face of one mood."""
    eye_y = EYE_Y.get(character, DEFAULT_EYE_Y)
    spread = EYE_SPREAD.get(character, DEFAULT_EYE_SPREAD)
    left, right = MIDDLE_X - spread, MIDDLE_X + spread
    face = {
        "happy": _happy,
        "sad": _sad,
        "angry": _angry,
        "surprised": _surprised,
        "love": _love,
        "sleepy": _sleepy,
        "playful": _playful,
        "cool": _cool,
    }[emotion]
    if emotion not in ("angry", "surprised", "cool"):
        for side in (-1, 1):
            canvas.fill(ellipse(MIDDLE_X + side * 25, 60, 5, 3.2), mix(palette.body, BLUSH, 0.7))
    face(canvas, left, right, eye_y, palette)


def _round_eye(canvas: Canvas, x: float, y: float, ink: Color, radius: float = 5.0) -> None:
    canvas.fill(ellipse(x, y, radius, radius * 1.15), ink)
    canvas.fill(ellipse(x - radius * 0.3, y - radius * 0.45, radius * 0.4, radius * 0.4), WHITE)
    canvas.fill(ellipse(x + radius * 0.35, y + radius * 0.4, radius * 0.2, radius * 0.2), WHITE)


def _open_smile(canvas: Canvas, width: float, height: float) -> None:
    canvas.fill(arc(MIDDLE_X, MOUTH_Y - 2, width, height, 0, 180), MOUTH, grow=0.8)
    canvas.fill(ellipse(MIDDLE_X, MOUTH_Y - 2 + height * 0.72, width * 0.5, height * 0.28), TONGUE)


def _happy(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x in (left, right):
        _round_eye(canvas, x, eye_y, palette.ink)
    _open_smile(canvas, 9, 10)


def _sad(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x, inward in ((left, 1), (right, -1)):
        _round_eye(canvas, x, eye_y + 1.5, palette.ink, 4.4)
        brow = points((x - inward * 6, eye_y - 5), (x + inward * 4, eye_y - 9))
        canvas.stroke(brow, 2.2, palette.ink)
    canvas.stroke(arc(MIDDLE_X, MOUTH_Y + 7, 7, 6, 200, 340), 2.4, palette.ink)
    tear = points((left - 1, eye_y + 8), (left - 4.6, eye_y + 16), (left + 2.6, eye_y + 16))
    canvas.fill(tear, TEAR)
    canvas.fill(ellipse(left - 1, eye_y + 17, 4, 4), TEAR)
    canvas.fill(ellipse(left - 2, eye_y + 16.5, 1.1, 1.4), WHITE)


def _angry(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x, inward in ((left, 1), (right, -1)):
        _round_eye(canvas, x, eye_y + 2, palette.ink, 4.2)
        brow = points((x - inward * 7, eye_y - 9), (x + inward * 6, eye_y - 2))
        canvas.stroke(brow, 3.2, palette.ink)
    teeth = points((39, MOUTH_Y), (57, MOUTH_Y), (57, MOUTH_Y + 7), (39, MOUTH_Y + 7))
    canvas.fill(teeth, palette.ink, grow=1.4)
    canvas.fill(teeth, WHITE)
    for x in (43.5, 48, 52.5):
        canvas.stroke(points((x, MOUTH_Y), (x, MOUTH_Y + 7)), 1.0, palette.ink)
    canvas.stroke(points((39, MOUTH_Y + 3.5), (57, MOUTH_Y + 3.5)), 1.0, palette.ink)
    for dx, dy, start in ((-6.5, -6.5, 0), (6.5, -6.5, 90), (6.5, 6.5, 180), (-6.5, 6.5, 270)):
        canvas.stroke(arc(86 + dx, 14 + dy, 4.6, 4.6, start, start + 90), 2.4, RAGE)


def _surprised(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x in (left, right):
        canvas.fill(ellipse(x, eye_y, 7.6, 8.4), WHITE, grow=1.3)
        canvas.fill(ellipse(x, eye_y, 7.6, 8.4), palette.ink, grow=1.3)
        canvas.fill(ellipse(x, eye_y, 7.6, 8.4), WHITE)
        canvas.fill(ellipse(x, eye_y, 3.0, 3.4), palette.ink)
    canvas.fill(ellipse(MIDDLE_X, MOUTH_Y + 3, 5, 7), MOUTH, grow=0.8)
    canvas.fill(ellipse(MIDDLE_X, MOUTH_Y + 7, 3.2, 2.4), TONGUE)
    for x, tilt in ((78, -3), (85, 0), (91, 4)):
        canvas.stroke(points((x, 20), (x + tilt, 10)), 2.2, palette.ink)


def _love(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x in (left, right):
        canvas.fill(heart(x, eye_y, 8.4), WHITE, grow=1.2)
        canvas.fill(heart(x, eye_y, 8.4), LOVE)
    _open_smile(canvas, 7, 8)
    canvas.fill(heart(86, 14, 7), LOVE)
    canvas.fill(heart(93, 26, 4), LOVE)


def _sleepy(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x in (left, right):
        canvas.stroke(arc(x, eye_y - 1, 6.5, 4.5, 15, 165), 2.4, palette.ink)
    canvas.fill(ellipse(MIDDLE_X, MOUTH_Y + 2, 3.2, 2.6), MOUTH)
    for x, y, size in ((80, 18, 10), (92, 8, 6)):
        left_x, right_x = x - size / 2, x + size / 2
        zed = points((left_x, y), (right_x, y), (left_x, y + size), (right_x, y + size))
        canvas.stroke(zed, 2.4 if size > 8 else 1.8, palette.accent)


def _playful(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    _round_eye(canvas, left, eye_y, palette.ink)
    wink = points((right + 6, eye_y - 5), (right - 5, eye_y), (right + 6, eye_y + 5))
    canvas.stroke(wink, 2.6, palette.ink)
    canvas.stroke(arc(MIDDLE_X, MOUTH_Y - 3, 11, 6, 10, 170), 2.4, palette.ink)
    tongue = arc(MIDDLE_X + 3, MOUTH_Y + 4, 5.4, 9, -10, 190)
    canvas.fill(tongue, palette.ink, grow=1.0)
    canvas.fill(tongue, TONGUE)
    canvas.stroke(points((MIDDLE_X + 3, MOUTH_Y + 4), (MIDDLE_X + 3, MOUTH_Y + 9)), 1.0, MOUTH)


def _cool(canvas: Canvas, left: float, right: float, eye_y: float, palette: Palette) -> None:
    for x in (left, right):
        lens = arc(x, eye_y - 4, 12, 13, 0, 180)
        canvas.fill(lens, GLASSES, grow=1.6)
        canvas.stroke(points((x - 5, eye_y - 1.5), (x - 1, eye_y - 1.5)), 2.0, (150, 170, 210))
    canvas.stroke(points((left - 14, eye_y - 4), (right + 14, eye_y - 4)), 3.2, GLASSES)
    canvas.stroke(arc(MIDDLE_X + 3, MOUTH_Y - 2, 9, 6, 20, 150), 2.4, palette.ink)
