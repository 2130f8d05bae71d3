"""Decoding pictures: what comes out, and that no broken file gets past."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.datasets.pictures import BadPicture, decode_picture


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_three_formats_decode_whatever_the_file_is_called(tmp_path: Path, file_format: str) -> None:
    Image.new("RGB", (5, 3), (200, 200, 200)).save(tmp_path / "x.dat", file_format)
    pixels = decode_picture(tmp_path / "x.dat")
    assert pixels.shape == (3, 5, 3)
    assert np.abs(pixels.astype(int) - 200).max() <= 2


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    """Black at 0 of 255 is white; black at 51 of 255 is four fifths white, 204."""
    Image.new("LA", (1, 1), (0, 0)).save(tmp_path / "clear.png")
    Image.new("RGBA", (1, 1), (0, 0, 0, 51)).save(tmp_path / "veil.png")
    assert decode_picture(tmp_path / "clear.png").tolist() == [[[255, 255, 255]]]
    assert decode_picture(tmp_path / "veil.png").tolist() == [[[204, 204, 204]]]


def test_a_transparent_palette_is_put_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (1, 1), 0)
    image.putpalette([10, 20, 30])
    image.save(tmp_path / "x.png", transparency=b"\0")
    assert decode_picture(tmp_path / "x.png").tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (2, 2), "white").convert(mode).save(
        tmp_path / "x", "JPEG" if mode == "CMYK" else "PNG"
    )
    assert np.all(decode_picture(tmp_path / "x") == 255)


def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    """EXIF orientation 6 means: turn right by 90 degrees, so 5 wide becomes 5 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (5, 3)).save(tmp_path / "x.jpg", exif=exif)
    assert decode_picture(tmp_path / "x.jpg").shape == (5, 3, 3)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about metadata that was damaged on purpose
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_damaged_file_decodes_or_is_a_bad_picture(tmp_path: Path, file_format: str) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((16, 16), 90).convert("RGB").save(buffer, file_format, exif=exif)
    chance = random.Random(0)
    num_bad = 0
    for _ in range(200):
        content = bytearray(buffer.getvalue())
        for _ in range(chance.randint(1, 8)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        (tmp_path / "x").write_bytes(content[: chance.randrange(len(content) * 2)])
        try:
            decode_picture(tmp_path / "x")
        except BadPicture:
            num_bad += 1
    assert num_bad > 50
