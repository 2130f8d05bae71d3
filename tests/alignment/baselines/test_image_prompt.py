"""IP-Adapter-style: the mean of the history's features as an image prompt."""

import pytest
import torch

from pigeon_recsys.alignment.baselines.image_prompt import ImagePrompt, mean_features
from pigeon_recsys.alignment.baselines.prompted import Liked, Prompted
from tests.alignment.baselines.weighing import written


def image_prompt(backbone):
    torch.manual_seed(0)
    return ImagePrompt(backbone).eval()


def test_features_are_averaged_over_the_pictures_that_are_present(backbone, request_of_one):
    visual = request_of_one.history_HT
    present = torch.tensor([[False, True, True]])
    found = mean_features(backbone, Liked(visual[None], present, (("a", "b"),)))
    expected = backbone.features(visual[1:]).mean(dim=(0, 1))
    assert found[0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_it_reads_the_history_in_any_order(backbone, request_of_one, other_request):
    """A mean does not know which picture came first."""
    module = image_prompt(backbone)
    liked = request_of_one.liked
    turned = Liked(liked.visual_BHT.flip(1), liked.present_BH, liked.captions)
    prompt = module(backbone, liked).embed_BSD
    torch.testing.assert_close(prompt, module(backbone, turned).embed_BSD)
    baseline = Prompted(backbone, module)
    images = written(baseline, request_of_one)
    assert torch.equal(images, written(baseline, request_of_one))
    assert not torch.equal(images, written(baseline, other_request))


def test_a_user_without_likes_has_no_image_prompt(backbone, empty_request):
    assert not image_prompt(backbone)(backbone, empty_request.liked).attend_BS.any()


def test_an_image_prompt_starts_at_the_size_of_other_embeddings(backbone, request_of_one):
    prompt = image_prompt(backbone)(backbone, request_of_one.liked).embed_BSD
    size = backbone.marker("image_start").square().mean().sqrt()
    assert prompt.square().mean().sqrt().item() == pytest.approx(size.item(), rel=0.01)
