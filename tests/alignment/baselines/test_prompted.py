"""The prompt all baselines share: padding and neighbours change nothing."""

from dataclasses import replace

import pytest
import torch

from pigeon_recsys.alignment.baselines.plain_backbone import shown_history
from pigeon_recsys.alignment.baselines.prompted import (
    Liked,
    Prompted,
    Words,
    image_loss,
    no_preference,
    positions,
)
from pigeon_recsys.model.sampling import Sampling
from tests.alignment.baselines.weighing import fingerprint, written


def test_positions_count_attended_tokens_alone():
    """Of five tokens the second is padding: the third is the second that counts."""
    attend = torch.tensor([[True, False, True, True, False]])
    assert positions(attend).tolist() == [[0, 0, 1, 2, 2]]


def test_the_loss_of_an_image_does_not_depend_on_its_neighbours(backbone, request_of_one):
    target = request_of_one.history_HT[:2]
    texts = ["a cat", "a very long caption of a sticker"]
    both = image_loss(backbone, no_preference(backbone, 2), Words.of(backbone, texts), target)
    for row, text in enumerate(texts):
        alone = image_loss(
            backbone, no_preference(backbone, 1), Words.of(backbone, [text]), target[row : row + 1]
        )
        assert both[row].item() == pytest.approx(alone.item(), abs=1e-5)


def test_the_loss_is_the_cross_entropy_of_the_tokens_by_themselves(backbone, request_of_one):
    """An untrained language model gives every one of 1,000 ids about the same probability."""
    words = Words.of(backbone, ["a cat"])
    loss = image_loss(backbone, no_preference(backbone, 1), words, request_of_one.history_HT[:1])
    assert loss.item() == pytest.approx(torch.tensor(1000.0).log().item(), abs=0.3)


def test_empty_places_of_a_history_say_nothing(backbone, request_of_one):
    liked = request_of_one.liked
    filler = torch.full_like(liked.visual_BHT[:, :1], 9)
    padded = Liked(
        torch.cat([filler, liked.visual_BHT], dim=1),
        torch.cat([torch.zeros(1, 1, dtype=torch.bool), liked.present_BH], dim=1),
        liked.captions,
    )
    words, target = Words.of(backbone, ["a cat"]), request_of_one.history_HT[:1]
    losses = [
        image_loss(backbone, shown_history(backbone, some), words, target).item()
        for some in (liked, padded)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_the_plain_backbone_reads_the_history_and_the_words(
    backbone, request_of_one, other_request, empty_request
):
    before = fingerprint(backbone)
    plain = Prompted(backbone, shown_history)
    images = written(plain, request_of_one)
    assert images.shape == (4, backbone.spec.tokens_per_image)
    assert torch.equal(images, written(plain, request_of_one))
    for other in (other_request, empty_request):
        assert not torch.equal(images, written(plain, other))
    assert fingerprint(backbone) == before


def test_the_plain_backbone_reads_no_captions(backbone, request_of_one):
    """It is shown pictures; captions are for the methods whose papers use them."""
    plain = Prompted(backbone, shown_history)
    renamed = replace(request_of_one, captions=("x", "y", "z"))
    assert torch.equal(written(plain, request_of_one), written(plain, renamed))


def test_guidance_leads_away_from_what_is_written_without_the_preference(backbone, request_of_one):
    def guided(preference, guidance):
        generators = [torch.Generator().manual_seed(seed) for seed in range(4)]
        sampling = Sampling(1.0, guidance=guidance)
        return Prompted(backbone, preference).write(request_of_one, sampling, generators)

    def nothing(backbone, liked):
        return no_preference(backbone, 1)

    assert not torch.equal(guided(shown_history, 1.0), guided(shown_history, 4.0))
    assert torch.equal(guided(nothing, 1.0), guided(nothing, 4.0))
