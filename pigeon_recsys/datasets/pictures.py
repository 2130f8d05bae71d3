"""Find and decode the pictures of a dataset folder, which may come from anywhere.

In:  a path as the items table gives it, or a file's bytes.
Out: RGB pixels, or `BadPicture` saying what is wrong with the file.

Only PNG, JPEG and WebP are decoded, only up to a bounded size, and only files inside the folder.
"""

import io
import os
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pigeon_recsys.records import Pixels

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_PIXELS = 4096 * 4096  # 50 MB decoded; a small file can claim far more
DEEP_MODES = ("I", "F")  # Pillow turns them into RGB by clipping, so most turn white
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
BROKEN = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error)


class BadPicture(ValueError):
    """A picture cannot be used; `kind` names the fault, the message completes "image X …"."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(text)


def picture_path(folder: Path, image: str) -> Path:
    """Return where a picture is; `folder` must be resolved.

    Raises `BadPicture` for a path that leaves the folder or has no file.
    """
    if Path(image).is_absolute():
        raise BadPicture("image outside", "is an absolute path. Make it relative to the folder.")
    try:
        real = os.path.realpath(folder / image)
    except (OSError, ValueError):
        raise BadPicture("missing image", "is no usable path. Correct it.") from None
    if not Path(real).is_relative_to(folder):
        raise BadPicture("image outside", "leads out of the folder. Copy the file into it.")
    if not os.path.exists(real):
        raise BadPicture("missing image", "does not exist. Add the file, or drop the row.")
    if not os.path.isfile(real):
        raise BadPicture("missing image", "is not a file. Name the picture itself.")
    return Path(real)


def decode_picture(file: Path | bytes) -> Pixels:
    """Return the picture in RGB, upright, transparency on white. Raises `BadPicture`."""
    try:
        source = io.BytesIO(file) if isinstance(file, bytes) else file
        with Image.open(source, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large()
            return _rgb(image)
    except BadPicture:
        raise
    except BOMB as exc:
        raise _too_large() from exc
    except UnidentifiedImageError as exc:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        fault = "is no PNG, JPEG or WebP picture" if size else "is an empty file"
        raise BadPicture("broken image", f"{fault}. Replace it.") from exc
    except BROKEN as exc:
        raise BadPicture("broken image", f"cannot be decoded: {exc}. Replace it.") from exc


def _too_large() -> BadPicture:
    return BadPicture(
        "image too large",
        f"holds more than the {MAX_PIXELS} pixels that are read. Make it smaller.",
    )


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith(DEEP_MODES):
        raise BadPicture("deep image", "has more than 8 bits a channel. Save it with 8.")
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        pasted = upright.convert("RGBA")
        white = Image.new("RGBA", pasted.size, "white")
        upright = Image.alpha_composite(white, pasted)
    return np.array(upright.convert("RGB"))  # a copy, which unlike Pillow's own can be written
