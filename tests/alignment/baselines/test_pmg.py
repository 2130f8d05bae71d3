"""PMG-style: keywords and soft embeddings."""

from dataclasses import replace

import torch

from pigeon_recsys.alignment.baselines.keywords import Keywords
from pigeon_recsys.alignment.baselines.pmg import NUM_SOFT, SoftPreference
from pigeon_recsys.alignment.baselines.prompted import Prompted, Words
from tests.alignment.baselines.weighing import written

KEYWORDS = Keywords.of(["a cat", "a dog", "a happy cat", "a bird"])


def soft_preference(backbone):
    torch.manual_seed(0)
    return SoftPreference(backbone, KEYWORDS).eval()


def test_the_preference_is_soft_embeddings_and_then_the_keywords(backbone, request_of_one):
    """The captions hold "a", "cat", "dog" and "happy"; "a" tells least: it is in all of four."""
    part = soft_preference(backbone)(backbone, request_of_one.liked)
    keywords = Words.of(backbone, ["cat, dog, happy, a"]).part(backbone)
    assert torch.equal(part.embed_BSD[:, NUM_SOFT:], keywords.embed_BSD)
    assert part.attend_BS.all()


def test_it_reads_pictures_and_captions(backbone, request_of_one, other_request):
    baseline = Prompted(backbone, soft_preference(backbone))
    images = written(baseline, request_of_one)
    renamed = replace(request_of_one, captions=("a bird", "a bird", "a bird"))
    assert torch.equal(images, written(baseline, request_of_one))
    assert not torch.equal(images, written(baseline, other_request))
    assert not torch.equal(images, written(baseline, renamed))


def test_a_user_without_likes_has_no_preference(backbone, empty_request):
    part = soft_preference(backbone)(backbone, empty_request.liked)
    assert not part.attend_BS.any()


def test_every_trained_tensor_receives_a_gradient(backbone, request_of_one):
    module = soft_preference(backbone).train()
    part = module(backbone, request_of_one.liked)
    part.embed_BSD.square().sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())
    assert all(weight.grad is None for weight in backbone.parameters())
