"""DreamBooth: an adapter that is there while a request is answered, and gone afterwards."""

from dataclasses import replace

import pytest
import torch
from peft.tuners.lora import LoraLayer

from pigeon_recsys.alignment.baselines.dreambooth import DreamBooth
from pigeon_recsys.alignment.baselines.prompted import Words, image_loss, no_preference
from pigeon_recsys.alignment.baselines.user_fit import FitSettings
from tests.alignment.baselines.weighing import fingerprint, written

SETTINGS = FitSettings(steps=12, learning_rate=2e-2)


def num_adapters(backbone):
    return sum(isinstance(module, LoraLayer) for module in backbone.modules())


def test_the_adapter_lowers_the_loss_on_the_users_own_pictures(backbone, request_of_one):
    with DreamBooth(backbone, SETTINGS).learned(request_of_one) as losses:
        assert num_adapters(backbone) == 4  # q and v of two layers
    assert len(losses) == SETTINGS.steps
    assert losses[-1] < losses[0] - 0.05


def test_the_backbone_is_the_same_to_the_bit_afterwards_even_after_an_error(
    backbone, request_of_one
):
    before, names = fingerprint(backbone), dict(backbone.named_modules()).keys()
    baseline = DreamBooth(backbone, SETTINGS)
    with pytest.raises(KeyboardInterrupt), baseline.learned(request_of_one):
        raise KeyboardInterrupt
    assert fingerprint(backbone) == before
    assert dict(backbone.named_modules()).keys() == names
    assert not hasattr(backbone.language_model, "peft_config")
    assert not any(weight.requires_grad for weight in backbone.parameters())


def test_the_same_seed_writes_the_same_image_whoever_was_served_before(
    backbone, request_of_one, other_request
):
    baseline = DreamBooth(backbone, SETTINGS)
    images = written(baseline, request_of_one)
    assert not torch.equal(images, written(baseline, other_request))
    assert torch.equal(images, written(baseline, request_of_one))


def test_the_global_generator_is_left_as_it_was(backbone, request_of_one):
    torch.manual_seed(1)
    expected = torch.get_rng_state()
    written(DreamBooth(backbone, SETTINGS), request_of_one)
    assert torch.equal(torch.get_rng_state(), expected)


def test_the_prior_keeps_images_without_the_identifier_likely(backbone, request_of_one):
    """A heavy prior leaves the model's own images likelier than none does."""
    losses = {}
    for weight in (0.0, 20.0):
        baseline = DreamBooth(backbone, SETTINGS, prior_weight=weight)
        words = Words.of(backbone, request_of_one.captions)
        prior = baseline._prior(request_of_one, words)
        with baseline.learned(request_of_one), torch.no_grad():
            nobody = no_preference(backbone, len(prior))
            losses[weight] = image_loss(backbone, nobody, words, prior).mean().item()
    assert losses[20.0] < losses[0.0]


def test_a_user_without_likes_is_answered_by_the_backbone_alone(backbone, empty_request):
    images = written(DreamBooth(backbone, SETTINGS), empty_request)
    other_seed = replace(empty_request, seed=99)  # of an adapter, which there is none of
    assert torch.equal(images, written(DreamBooth(backbone, SETTINGS), other_seed))
