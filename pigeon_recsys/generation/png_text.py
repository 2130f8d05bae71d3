"""Read the texts of a PNG file that may come from anywhere, without decoding its picture.

In:  a file's bytes, the keywords wanted.
Out: each keyword's text, or `BadProvenance` saying what is wrong with the file.

What is compressed is refused and never expanded, so a small file cannot become a large text.
"""

import struct
import zlib
from collections.abc import Collection, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 100_000  # of a file; a picture of 4,096 pixels a side has some 500
MAX_KEYWORD = 79  # bytes, by the standard
MAX_TEXT = 2**20  # bytes of a text with its keyword; a record has some 500
FRAME = 12  # bytes around a chunk's data: length, type, checksum


class BadProvenance(ValueError):
    """What a file says of its making cannot be read; the message completes "FILE …"."""


def read_texts(file: bytes, keywords: Collection[str]) -> dict[str, str]:
    """Return the texts under `keywords` that a PNG holds. Raises `BadProvenance`."""
    if not file.startswith(SIGNATURE):
        raise BadProvenance("is no PNG picture")
    texts: dict[str, str] = {}
    for kind, start, end in _chunks(file):
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        keyword = (
            file[start : min(end, start + MAX_KEYWORD + 1)].partition(b"\0")[0].decode("latin-1")
        )
        if keyword not in keywords:
            continue
        if keyword in texts:
            raise BadProvenance(f"holds two texts called {keyword!r}, so neither can be believed")
        texts[keyword] = _text(keyword, kind, file, start, end)
    return texts


def _chunks(file: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield each chunk's type and where its data begins and ends."""
    place = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if place + FRAME > len(file):
            raise BadProvenance("is cut short")
        length, kind = struct.unpack_from(">I4s", file, place)
        start = place + 8
        place += FRAME + length
        if place > len(file):
            raise BadProvenance("is cut short")
        if kind == b"IEND":
            return
        yield kind, start, start + length
    raise BadProvenance(f"has more than {MAX_CHUNKS} chunks, which no picture needs")


def _text(keyword: str, kind: bytes, file: bytes, start: int, end: int) -> str:
    if end - start > MAX_TEXT:
        raise BadProvenance(
            f"holds {end - start} bytes of {keyword!r}, at most {MAX_TEXT} are read"
        )
    data = file[start:end]
    if struct.pack(">I", zlib.crc32(kind + data)) != file[end : end + 4]:
        raise BadProvenance(f"is damaged: the checksum of {keyword!r} does not fit")
    value = data[len(keyword) + 1 :]
    if kind == b"tEXt":
        return value.decode("latin-1")
    if kind == b"zTXt" or value[:1] != b"\0":
        raise BadProvenance(
            f"holds {keyword!r} compressed, which is not read: it may hide any size"
        )
    parts = value[2:].split(b"\0", 2)  # language, translated keyword, text
    try:
        return parts[2].decode()
    except (IndexError, UnicodeDecodeError) as exc:
        raise BadProvenance(f"holds {keyword!r} in no form of the PNG standard") from exc
