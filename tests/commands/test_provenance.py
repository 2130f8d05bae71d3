"""`pigeon-recsys provenance`: a file says what it is, plainly, or that it says nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.cli import main
from pigeon_recsys.generation.picture_file import decode_provenance, encode_picture, encode_png
from pigeon_recsys.generation.xmp import COMPOSITE, GENERATED
from pigeon_recsys.records import Generation
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task


@pytest.fixture
def made() -> Generation:
    (generation,) = FakeGenerator().generate([make_task()])
    return generation


@pytest.fixture(autouse=True)
def one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pigeon_recsys.cli.COMMANDS", ("provenance",))


def told_of(file: Path) -> dict[str, Any]:
    result = file.with_suffix(".json")
    assert main(["provenance", str(file), "--json", str(result)]) == 0
    told: dict[str, Any] = json.loads(result.read_text())
    return told


def test_a_generated_picture_says_how_it_was_made(
    made: Generation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made.png"
    path.write_bytes(encode_picture(made))
    result = told_of(path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}: made by a model"
    assert f"  digital source type: {GENERATED}" in lines
    assert f"  content hash: {made.provenance.content_hash}" in lines
    assert "  reference: item-09: a happy cat" in lines
    assert lines[-1] == "  pixels: as they were made"
    assert result["record"]["content_hash"] == made.provenance.content_hash
    assert (result["digital_source_type"], result["pixels_unchanged"]) == (GENERATED, True)


def test_a_picture_that_was_changed_since_says_so(
    made: Generation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "made.png"
    record = decode_provenance(encode_picture(made)).record
    path.write_bytes(encode_png(255 - made.pixels, None, record))
    assert told_of(path)["pixels_unchanged"] is False
    out = capsys.readouterr().out
    assert "made by a model, says its record; its XMP packet is gone" in out
    assert "pixels: changed since" in out


def test_a_sheet_has_a_source_and_no_record(
    made: Generation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sheet.png"
    path.write_bytes(encode_png(made.pixels, COMPOSITE))
    assert told_of(path)["record"] is None
    assert "a sheet of pictures, some made by a model" in capsys.readouterr().out


def test_what_a_terminal_would_obey_is_shown_and_not_sent(
    made: Generation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hostile.png"
    path.write_bytes(encode_png(made.pixels, "urn:\x85\u202ereversed"))
    told_of(path)
    out = capsys.readouterr().out
    assert "\u202e" not in out
    assert "its digital source is of another kind" in out


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (encode_png(np.zeros((4, 4, 3), np.uint8), None), "carries no provenance: it was not made"),
        (b"GIF89a", "is no PNG picture"),
    ],
)
def test_a_file_that_says_nothing_fails_in_one_plain_line(
    content: bytes, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plain.png"
    path.write_bytes(content)
    assert main(["provenance", str(path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"pigeon-recsys: {path} {fault}")
    assert told.err.count("\n") == 1
