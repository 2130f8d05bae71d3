"""Training a judge: reproducible, reported, and clear about bad input."""

import json

import pytest
from safetensors.torch import load_file

from pigeon_recsys.datasets.sticker_drawing import FACTORS, Sticker
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation import judge_training
from pigeon_recsys.evaluation.judge_training import accuracy, codes_by_factor, train_judge

CAT = Sticker("cat", "coral", "bold", "plain", "happy", "none")
BEAR = Sticker("bear", "coral", "bold", "plain", "happy", "gift")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(judge_training, "NUM_TRAINING", 16)
    monkeypatch.setattr(judge_training, "NUM_HELD_OUT", 8)
    monkeypatch.setattr(judge_training, "BATCH", 4)


def test_the_same_seed_trains_the_same_judge(tiny, tmp_path):
    sheets = [train_judge(tmp_path / name, steps=2, seed=3) for name in ("one", "two")]
    one, two = (load_file(tmp_path / name / "judge.safetensors") for name in ("one", "two"))
    assert all(one[name].equal(two[name]) for name in one)
    assert sheets[0]["held_out"] == sheets[1]["held_out"]


def test_the_sheet_on_disk_is_the_one_returned(tiny, tmp_path):
    sheet = train_judge(tmp_path, steps=1, seed=0)
    assert json.loads((tmp_path / "judge.json").read_text()) == sheet
    assert set(sheet["held_out"]["worn"]) == set(FACTORS)
    assert sheet["held_out"]["pictures"] == 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["judge.json", "judge.safetensors"]


def test_targets_are_places_in_the_value_lists():
    """Cat is the first character, bear the second; a gift is the last of eight props."""
    targets = codes_by_factor([CAT, BEAR])
    assert targets["character"].tolist() == [0, 1]
    assert targets["prop"].tolist() == [0, 7]


def test_accuracy_is_the_share_of_right_values():
    """A judge that always says CAT is right about everything but one character and one prop."""

    class StubbornJudge:
        def factors(self, images):
            return [{factor: getattr(CAT, factor) for factor in FACTORS} for _ in images]

    shares = accuracy(StubbornJudge(), [CAT, BEAR], [None, None])
    assert (shares["character"], shares["prop"], shares["emotion"]) == (0.5, 0.5, 1.0)


def test_no_steps_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="steps must be at least 1, got 0"):
        train_judge(tmp_path, steps=0, seed=0)
