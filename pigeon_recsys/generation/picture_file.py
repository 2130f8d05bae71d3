"""A generated picture as a PNG that carries its provenance.

The provenance is JSON in a text chunk of the file, so that it goes where the picture goes.
"""

import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import write_bytes_atomic
from pigeon_recsys.records import Generation

TEXT_KEY = "pigeon-recsys"  # of the PNG text chunk


def encode_picture(generation: Generation) -> bytes:
    """Return the chosen picture as a PNG file with its provenance inside."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text(TEXT_KEY, json.dumps(asdict(generation.provenance), allow_nan=False))
    file = io.BytesIO()
    Image.fromarray(generation.pixels).save(file, format="PNG", pnginfo=text)
    return file.getvalue()


def write_picture(path: Path, generation: Generation) -> None:
    """Write the chosen picture with its provenance inside."""
    write_bytes_atomic(path, encode_picture(generation))


def read_provenance(path: Path) -> dict[str, Any]:
    """Return the provenance in a picture that `write_picture` wrote, field by field."""
    from PIL import Image, UnidentifiedImageError

    rebuild = "pigeon-recsys generate"
    try:
        with Image.open(path) as image:
            image.load()
            text = image.info.get(TEXT_KEY)
    except FileNotFoundError as exc:
        raise ArtifactError(path, "does not exist", rebuild=rebuild) from exc
    except (UnidentifiedImageError, OSError) as exc:
        raise ArtifactError(path, f"is no picture ({exc})", rebuild=rebuild) from exc
    if text is None:
        raise ArtifactError(path, "carries no provenance: it was not made here", rebuild=rebuild)
    provenance: dict[str, Any] = json.loads(text)
    return provenance
