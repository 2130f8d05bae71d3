"""A generated picture as a PNG that says so, to any program and to ours.

In:  a generation, or pixels that hold generated ones.
Out: the bytes of a file; or what the bytes of a file, which may come from anywhere, say.

A file carries two texts. An XMP packet names the IPTC's digital source type, which programs of
others show and look for. A JSON record says how the picture was made. The same generation gives
the same bytes.

A picture leaves the house, so the record leaves out what tells of the user: the id, the items
they liked, and the seed, which a worker derives from the id, so that a list of ids would tell
whose it is. A hashed id would still tie all pictures of a user together, and nothing needs it
here: under the content hash the store keeps it all.
"""

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pigeon_recsys.datasets.pictures import BadPicture, decode_picture
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.files import write_bytes_atomic
from pigeon_recsys.generation.png_text import BadProvenance, read_texts
from pigeon_recsys.generation.xmp import GENERATED, XMP_KEY, read_source_type, write_packet
from pigeon_recsys.records import Generation, Pixels, content_hash

RECORD_KEY = "pigeon-recsys"  # of the PNG's text chunk
MAX_BYTES = 64 * 2**20  # of a file; a picture of 4,096 pixels a side takes some 30 MB
REBUILD = "pigeon-recsys generate"
LAST_MS = 9_214_646_399_999  # end of 2261

Score = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class ReferenceRecord(_Record):
    """What the picture should show."""

    item_id: str | None = None
    text: str = ""


class PictureRecord(_Record):
    """How a picture was made, as its file says it: no field tells of the user."""

    content_hash: str = Field(pattern=r"^[0-9a-f]{64}$")  # of the pixels
    model: str
    weights_version: str
    history_hash: str
    reference: ReferenceRecord
    reference_mask_ratio: float = Field(ge=0, le=1)
    steps: int = Field(ge=0, lt=2**31)
    history_score: Score
    reference_score: Score
    checks_passed: tuple[str, ...]
    created_ms: int = Field(ge=0, le=LAST_MS)


@dataclass(frozen=True, slots=True)
class FileProvenance:
    """What a file says of its making."""

    source_type: str | None  # the IPTC's term, a URI
    record: PictureRecord | None


def encode_picture(generation: Generation) -> bytes:
    """Return the chosen picture as a PNG file with its provenance inside."""
    record = PictureRecord.model_validate(asdict(generation.provenance))
    return encode_png(generation.pixels, GENERATED, record)


def encode_png(
    pixels: Pixels, source_type: str | None, record: PictureRecord | None = None
) -> bytes:
    """Return a PNG file that names its digital source type, None for a picture nobody generated."""
    texts = PngInfo()
    if source_type is not None:
        texts.add_itxt(XMP_KEY, write_packet(source_type))
    if record is not None:
        texts.add_itxt(RECORD_KEY, record.model_dump_json())
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", pnginfo=texts)
    return file.getvalue()


def write_picture(path: Path, generation: Generation) -> None:
    """Write the chosen picture with its provenance inside."""
    write_bytes_atomic(path, encode_picture(generation))


def decode_provenance(file: bytes) -> FileProvenance:
    """Return what a file says of its making. Raises `BadProvenance`."""
    texts = read_texts(file, (XMP_KEY, RECORD_KEY))
    packet, text = texts.get(XMP_KEY), texts.get(RECORD_KEY)
    return FileProvenance(
        source_type=None if packet is None else read_source_type(packet),
        record=None if text is None else _read_record(text),
    )


def read_provenance(path: Path) -> FileProvenance:
    """Return what a picture file says of its making.

    Raises `ArtifactError` where it cannot be read or says nothing.
    """
    try:
        found = decode_provenance(read_file(path))
    except BadProvenance as exc:
        raise ArtifactError(path, str(exc), rebuild=REBUILD) from exc
    if found.source_type is None and found.record is None:
        fault = "carries no provenance: it was not made here, or was saved anew without it"
        raise ArtifactError(path, fault, rebuild=REBUILD)
    return found


def is_unchanged(file: bytes, record: PictureRecord) -> bool:
    """Say whether a file's pixels are those its record was written for."""
    try:
        return content_hash(decode_picture(file)) == record.content_hash
    except BadPicture:
        return False


def read_file(path: Path) -> bytes:
    """Return a picture file's bytes. Raises `ArtifactError`, also for one that is too large."""
    try:
        with path.open("rb") as opened:
            file = opened.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise ArtifactError(path, "does not exist", rebuild=REBUILD) from exc
    except OSError as exc:
        raise ArtifactError(path, f"cannot be read ({exc.strerror})", rebuild=REBUILD) from exc
    if len(file) > MAX_BYTES:
        fault = f"has more than the {MAX_BYTES} bytes that are read"
        raise ArtifactError(path, fault, rebuild=REBUILD)
    return file


def _read_record(text: str) -> PictureRecord:
    try:
        return PictureRecord.model_validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its JSON"
        raise BadProvenance(f"holds a record that is none ({where}: {first['msg']})") from exc
