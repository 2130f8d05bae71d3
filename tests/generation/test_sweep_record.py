"""What is kept of a sweep beside its picture, and files that say they are that."""

import json
import math
from dataclasses import replace

import pytest

from pigeon_recsys.generation.sweep_record import (
    MAX_BYTES,
    BadSweepRecord,
    SweepScore,
    decode_sweep,
    encode_sweep,
)
from pigeon_recsys.records import Generation, TokenMask
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task

MASK = TokenMask("liked", 2, 3, (True, False, True, True, False, False))

SCORE = {"reference_mask_ratio": 0.5, "history_score": 1, "reference_score": 1, "score": 1}


@pytest.fixture
def made() -> Generation:
    (found,) = FakeGenerator().generate([make_task()])
    return replace(found, history_masks=(MASK, replace(MASK, item_id="märz 🎂")))


def test_masks_and_scores_come_back_and_pictures_are_not_kept(made: Generation) -> None:
    file = encode_sweep(made)
    found = decode_sweep(file)
    assert found.history_masks == made.history_masks
    assert found.sweep == tuple(
        SweepScore(one.reference_mask_ratio, one.history_score, one.reference_score, one.score)
        for one in made.sweep
    )
    assert made.sweep
    assert len(file) < 2_000


def test_a_picture_without_a_sweep_has_a_record_too(made: Generation) -> None:
    found = decode_sweep(encode_sweep(replace(made, sweep=(), history_masks=())))
    assert (found.sweep, found.history_masks) == ((), ())


def test_a_score_that_is_no_number_comes_back(made: Generation) -> None:
    odd = replace(made.sweep[0], score=math.nan)
    (first, *_) = decode_sweep(encode_sweep(replace(made, sweep=(odd,)))).sweep
    assert math.isnan(first.score)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"history_masks": [{"item_id": "a", "rows": 2, "columns": 2, "keep": "101"}]}, "3 keep"),
        ({"history_masks": [{"item_id": "a", "rows": 1, "columns": 2, "keep": "1x"}]}, "pattern"),
        ({"history_masks": [{"item_id": "a", "rows": 0, "columns": 2, "keep": ""}]}, "greater"),
        ({"sweep": [{"score": 1.0}]}, "required"),
        ({"sweep": [SCORE] * 1_001}, "at most 1000"),
        ({"sweep": "all"}, "valid array"),
    ],
)
def test_files_that_are_none_are_refused(change: dict[str, object], fault: str) -> None:
    with pytest.raises(BadSweepRecord, match=fault):
        decode_sweep(json.dumps({"history_masks": [], "sweep": [], **change}).encode())


@pytest.mark.parametrize("file", [b"", b"\xff\xfe", b"[]", b"{", b" " * (MAX_BYTES + 1)])
def test_files_of_anything_else_are_refused(file: bytes) -> None:
    with pytest.raises(BadSweepRecord, match="record"):
        decode_sweep(file)
