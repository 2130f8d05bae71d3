"""The shipped judge: what it returns, how far it can be trusted, what it says when missing."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from pigeon_recsys.datasets.sticker_drawing import FACTORS
from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.factor_judge import SHEET_FILE, SHIPPED_WEIGHTS, FactorJudge
from pigeon_recsys.evaluation.judge_pictures import draw_examples, judge_stream, worn
from pigeon_recsys.evaluation.judge_training import accuracy

UNUSED_SEED = 999  # the shipped judge was neither trained nor measured with it


@pytest.fixture(scope="module")
def judge():
    return FactorJudge.load()


@pytest.fixture(scope="module")
def examples():
    return draw_examples(150, 72, judge_stream(UNUSED_SEED))


def test_probabilities_of_a_factors_values_sum_to_one(judge, examples):
    probabilities = judge.probabilities(examples[1][:5])
    assert list(probabilities) == list(FACTORS)
    for factor, values in FACTORS.items():
        assert probabilities[factor].shape == (5, len(values))
        assert probabilities[factor].sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_clean_stickers_are_read_right(judge, examples):
    assert min(accuracy(judge, *examples).values()) >= 0.97


def test_worn_stickers_are_read_nearly_as_well(judge, examples):
    rng = judge_stream(UNUSED_SEED, 1)
    pictures = [worn(picture, rng) for picture in examples[1]]
    assert min(accuracy(judge, examples[0], pictures).values()) >= 0.95


def test_pictures_of_several_sizes_can_be_judged_together(judge):
    stickers, small = draw_examples(10, 72, judge_stream(UNUSED_SEED, 2))
    _, large = draw_examples(10, 96, judge_stream(UNUSED_SEED, 2))
    assert accuracy(judge, stickers * 2, small + large)["character"] >= 0.9


def test_no_pictures_have_no_factors(judge):
    assert judge.factors([]) == []


def test_the_shipped_sheet_states_at_least_99_percent_on_clean_stickers():
    sheet = json.loads((SHIPPED_WEIGHTS.parent / SHEET_FILE).read_text())
    assert set(sheet["held_out"]["clean"]) == set(FACTORS)
    assert min(sheet["held_out"]["clean"].values()) >= 0.99
    assert sheet["weights_bytes"] == SHIPPED_WEIGHTS.stat().st_size <= 3_000_000
    assert sheet["command"].startswith(
        "pigeon-recsys train judge --out pigeon_recsys/weights/judge"
    )


def test_a_missing_judge_names_the_file_and_the_command(tmp_path):
    path = tmp_path / "judge.safetensors"
    command = re.escape(f"pigeon-recsys train judge --out {tmp_path}")
    with pytest.raises(ArtifactError, match=rf"judge.safetensors is missing.*{command}"):
        FactorJudge.load(path)


def test_a_corrupt_judge_is_refused(tmp_path):
    path = tmp_path / "judge.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(ArtifactError, match="is corrupt.*pigeon-recsys train judge"):
        FactorJudge.load(path)


def test_importing_the_judge_loads_no_torch():
    code = "import pigeon_recsys.evaluation.factor_judge, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
