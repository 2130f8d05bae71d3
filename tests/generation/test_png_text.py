"""Texts of a PNG are read from whatever a file is, and never expanded."""

import struct
import tracemalloc
import zlib

import pytest

from pigeon_recsys.generation import png_text
from pigeon_recsys.generation.png_text import MAX_TEXT, SIGNATURE, BadProvenance, read_texts

ITXT = b"k\0\0\0\0\0"  # keyword, not compressed, method, no language, no translated keyword


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def test_both_kinds_of_plain_text_are_read_and_others_passed_over() -> None:
    file = png(
        chunk(b"tEXt", b"a\0one \xe9"),
        chunk(b"IDAT", b"pixels"),
        chunk(b"iTXt", b"b\0\0\0de\0wort\0zwei \xc3\xa9"),
        chunk(b"tEXt", b"other\0three"),
        chunk(b"zTXt", b"also-other\0\0" + zlib.compress(b"four")),
    )
    assert read_texts(file, ("a", "b", "c")) == {"a": "one é", "b": "zwei é"}


def test_what_follows_the_end_is_no_part_of_the_picture() -> None:
    assert read_texts(png() + chunk(b"tEXt", b"k\0v"), "k") == {}


@pytest.mark.parametrize(
    ("file", "fault"),
    [
        (b"", "is no PNG picture"),
        (b"GIF89a", "is no PNG picture"),
        (SIGNATURE, "is cut short"),
        (SIGNATURE + struct.pack(">I", 2**32 - 1) + b"tEXt" + b"k\0v" * 9, "is cut short"),
        (png(chunk(b"tEXt", b"k\0" + b"v" * MAX_TEXT)), "holds 1048578 bytes of 'k', at most"),
        (png(chunk(b"tEXt", b"k\0v"), chunk(b"tEXt", b"k\0w")), "two texts called 'k'"),
        (png(chunk(b"tEXt", b"k\0v")).replace(b"k\0v", b"k\0w"), "is damaged: the checksum of 'k'"),
        (png(chunk(b"iTXt", b"k\0\0\0")), "in no form of the PNG standard"),
        (png(chunk(b"iTXt", ITXT + b"\xff")), "in no form of the PNG standard"),
        (png(chunk(b"iTXt", b"k")), "compressed, which is not read"),
    ],
)
def test_a_file_that_cannot_be_believed_is_named(file: bytes, fault: str) -> None:
    with pytest.raises(BadProvenance, match=fault):
        read_texts(file, "k")


@pytest.mark.parametrize(("kind", "head"), [(b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0")])
def test_a_compressed_text_is_refused_and_never_expanded(kind: bytes, head: bytes) -> None:
    """100 MB of zeros take 100 kB; reading takes a few times the file at most."""
    bomb = zlib.compressobj(9)
    small = b"".join(bomb.compress(bytes(2**20)) for _ in range(100)) + bomb.flush()
    file = png(chunk(kind, head + small))
    tracemalloc.start()
    with pytest.raises(BadProvenance, match="compressed, which is not read"):
        read_texts(file, "k")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(file)


def test_a_file_of_endless_chunks_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_text, "MAX_CHUNKS", 3)
    with pytest.raises(BadProvenance, match="more than 3 chunks, which no picture needs"):
        read_texts(png(*[chunk(b"none", b"")] * 4), "k")
