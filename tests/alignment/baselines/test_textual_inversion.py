"""Textual Inversion: a word is learned, and nothing else."""

import pytest
import torch

from pigeon_recsys.alignment.baselines.textual_inversion import TextualInversion
from pigeon_recsys.alignment.baselines.user_fit import FitSettings
from pigeon_recsys.errors import SettingsError
from tests.alignment.baselines.weighing import fingerprint, written

SETTINGS = FitSettings(steps=15, learning_rate=0.05)


def test_the_word_lowers_the_loss_on_the_users_own_pictures(backbone, request_of_one):
    before = fingerprint(backbone)
    learned = TextualInversion(backbone, SETTINGS).learn(request_of_one)
    assert len(learned.losses) == SETTINGS.steps
    assert learned.losses[-1] < learned.losses[0] - 0.01  # an untrained model hardly listens
    assert fingerprint(backbone) == before


def test_the_same_seed_writes_the_same_image_and_another_history_another(
    backbone, request_of_one, other_request
):
    baseline = TextualInversion(backbone, SETTINGS)
    images = written(baseline, request_of_one)
    assert torch.equal(images, written(baseline, request_of_one))
    assert not torch.equal(images, written(baseline, other_request))


def test_a_user_without_likes_has_no_word(backbone, empty_request):
    """What is written then follows from the words alone, whatever is learned and how long."""
    images = written(TextualInversion(backbone, SETTINGS), empty_request)
    other = TextualInversion(backbone, FitSettings(1, 1.0))
    assert torch.equal(images, written(other, empty_request))


def test_learning_takes_at_least_one_step():
    with pytest.raises(SettingsError, match="takes at least 1 step, got steps 0"):
        FitSettings(steps=0, learning_rate=0.1)
