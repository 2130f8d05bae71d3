"""A picture that carries its provenance."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.generation.picture_file import read_provenance, write_picture
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task


def test_the_provenance_is_read_from_the_picture(tmp_path: Path) -> None:
    (made,) = FakeGenerator().generate([make_task()])
    path = tmp_path / "made.png"
    write_picture(path, made)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), made.pixels)
    found = read_provenance(path)
    assert found["content_hash"] == made.provenance.content_hash
    assert found["reference"] == asdict(made.provenance.reference)


def test_what_carries_no_provenance_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, fault in [
        ("plain.png", "carries no provenance"),
        ("text.png", "is no picture"),
        ("gone.png", "does not exist"),
    ]:
        with pytest.raises(ArtifactError, match=fault):
            read_provenance(tmp_path / name)
