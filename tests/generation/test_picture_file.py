"""A picture that carries its provenance, but not whose it is."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.generation import picture_file
from pigeon_recsys.generation.picture_file import (
    RECORD_KEY,
    PictureRecord,
    decode_provenance,
    encode_picture,
    encode_png,
    is_unchanged,
    read_provenance,
    write_picture,
)
from pigeon_recsys.generation.png_text import BadProvenance
from pigeon_recsys.generation.xmp import COMPOSITE, GENERATED, XMP_KEY
from pigeon_recsys.records import Generation, Provenance
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task

OF_THE_USER = {"user_id", "history_item_ids", "seed", "token_seed"}  # seeds follow from the id


@pytest.fixture
def made() -> Generation:
    (generation,) = FakeGenerator().generate([make_task()])
    return generation


def saved_with(path: Path, **texts: str) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_itxt(key.replace("_", "-"), text)
    Image.new("RGB", (4, 4)).save(path, pnginfo=info)
    return path


def test_the_provenance_is_read_from_the_picture(made: Generation, tmp_path: Path) -> None:
    path = tmp_path / "made.png"
    write_picture(path, made)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), made.pixels)
    found = read_provenance(path)
    assert found.source_type == GENERATED
    assert found.record is not None
    told = asdict(made.provenance)
    expected = {name: value for name, value in told.items() if name not in OF_THE_USER}
    assert found.record.model_dump() == expected


def test_a_program_of_others_reads_what_the_picture_is(made: Generation, tmp_path: Path) -> None:
    """Pillow knows nothing of this package; XMP readers look under the key it reads here."""
    write_picture(tmp_path / "made.png", made)
    with Image.open(tmp_path / "made.png") as image:
        assert isinstance(image, PngImageFile)
        assert GENERATED in str(image.text[XMP_KEY])
        assert GENERATED.encode() in image.info["xmp"]
        assert json.loads(image.text[RECORD_KEY])["content_hash"] == made.provenance.content_hash


def test_the_file_tells_all_but_whose_picture_it_is(made: Generation) -> None:
    """A new field of the provenance must be put on one side or the other."""
    assert {field.name for field in fields(Provenance)} - set(
        PictureRecord.model_fields
    ) == OF_THE_USER
    secret = replace(made.provenance, user_id="ada-7f3", history_item_ids=("liked-7f3",))
    assert b"7f3" not in encode_picture(replace(made, provenance=secret))


def test_the_same_generation_gives_the_same_bytes(made: Generation) -> None:
    (again,) = FakeGenerator().generate([make_task()])
    assert encode_picture(again) == encode_picture(made)


def test_a_sheet_says_that_it_is_a_composite_and_a_given_picture_says_nothing(
    made: Generation,
) -> None:
    assert decode_provenance(encode_png(made.pixels, COMPOSITE)).source_type == COMPOSITE
    plain = decode_provenance(encode_png(made.pixels, None))
    assert (plain.source_type, plain.record) == (None, None)


def test_pixels_that_were_changed_are_known_by_the_record(made: Generation) -> None:
    file = encode_picture(made)
    record = decode_provenance(file).record
    assert record is not None
    assert is_unchanged(file, record)
    assert not is_unchanged(encode_png(255 - made.pixels, GENERATED, record), record)
    assert not is_unchanged(file[: len(file) // 2], record)


def test_a_file_of_an_older_version_is_still_read(made: Generation, tmp_path: Path) -> None:
    """It held all of the provenance, in a tEXt chunk, and no XMP."""
    info = PngInfo()
    info.add_text(RECORD_KEY, json.dumps(asdict(made.provenance)))
    Image.fromarray(made.pixels).save(tmp_path / "old.png", pnginfo=info)
    found = read_provenance(tmp_path / "old.png")
    assert found.source_type is None
    assert found.record is not None
    assert found.record.content_hash == made.provenance.content_hash


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "its JSON: Invalid JSON"),
        ("[]", "its JSON: Input should be an object"),
        ("{}", "content_hash: Field required"),
        ("[" * 100_000, "its JSON: Invalid JSON: recursion limit"),
        ('{"content_hash": "../../x"}', "content_hash: String should match"),
    ],
)
def test_a_record_that_is_none_is_refused(text: str, fault: str, tmp_path: Path) -> None:
    path = saved_with(tmp_path / "x.png", pigeon_recsys=text)
    with pytest.raises(BadProvenance, match=f"holds a record that is none .{fault}"):
        decode_provenance(path.read_bytes())


def test_what_carries_no_provenance_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "large.png").write_bytes(b"x" * 2001)
    (tmp_path / "folder.png").mkdir()
    saved_with(tmp_path / "xml.png", **{XMP_KEY: "<!DOCTYPE a><a/>"})
    monkeypatch.setattr(picture_file, "MAX_BYTES", 2000)
    for name, fault in [
        ("plain.png", "carries no provenance: it was not made here, or was saved anew without it"),
        ("text.png", "is no PNG picture"),
        ("gone.png", "does not exist"),
        ("large.png", "has more than the 2000 bytes that are read"),
        ("folder.png", r"cannot be read \(Is a directory\)"),
        ("xml.png", "holds an XMP packet with a document type"),
    ]:
        with pytest.raises(ArtifactError, match=f"{name} {fault}"):
            read_provenance(tmp_path / name)
