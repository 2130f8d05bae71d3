"""Drawings on pages: overlays, curves, pictures and scores, each worked out by hand."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.pages.drawing import (
    chosen_image,
    draw_chart,
    format_date,
    format_score,
    hidden_cells,
    png_uri,
)
from pigeon_recsys.records import GenerationTask, Reference, SweepImage, TokenMask
from pigeon_recsys.testing.fakes import FakeGenerator


def test_the_overlay_covers_exactly_the_hidden_tokens():
    """Two rows of three tokens, the second of row 0 and the first of row 1 hidden."""
    mask = TokenMask("a", 2, 3, (True, False, True, False, True, True))
    assert hidden_cells(mask) == "M1 0h1v1h-1zM0 1h1v1h-1z"


def test_a_large_picture_is_stored_smaller_and_a_small_one_as_it_is():
    rng = np.random.default_rng(0)
    for height, width, stored in [(900, 600, (213, 320)), (48, 64, (64, 48))]:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        content = base64.b64decode(png_uri(pixels).removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(content)).size == stored


def test_larger_scores_stand_higher_in_the_chart():
    """Scores 0 and 1 with 12 % margin: heights 12 and 88 of 100, counted from the top."""
    pixels = np.zeros((1, 1, 3), np.uint8)
    sweep = [SweepImage(0.0, pixels, 0.0, 1.0, 0.5), SweepImage(1.0, pixels, 1.0, 0.0, 0.5)]
    lines = dict(draw_chart(sweep).lines)
    assert lines["history"] == "M0.5 88.0L1.5 12.0"
    assert lines["reference"] == "M0.5 12.0L1.5 88.0"
    assert lines["total"] == "M0.5 50.0L1.5 50.0"
    assert draw_chart(sweep[:1]) is None
    assert draw_chart([*sweep, replace(sweep[0], score=float("nan"))]) is None


def test_the_chosen_image_is_the_one_at_the_ratio_of_the_provenance():
    (made,) = FakeGenerator().generate([GenerationTask("ada", (), "h", Reference("a"), None, 0)])
    other = replace(made.sweep[0], reference_mask_ratio=0.25)
    assert chosen_image(replace(made, sweep=(other, *made.sweep))) is made.sweep[0]
    assert chosen_image(replace(made, sweep=())) is None


@pytest.mark.parametrize(
    ("score", "said"), [(0.71449, "0.714"), (1234.0, "1,234"), (float("nan"), "unknown")]
)
def test_a_score_is_short(score, said):
    assert format_score(score) == said


def test_a_date_says_its_zone():
    assert format_date(1_700_000_000_000) == "2023-11-14 22:13 UTC"
