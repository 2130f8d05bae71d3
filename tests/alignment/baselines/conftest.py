"""A tiny frozen backbone and one user's request."""

from dataclasses import replace

import pytest
import torch

from pigeon_recsys.alignment.baselines.prompted import BaselineRequest
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from tests.alignment.tiny_pigeon import tiny_backbone


@pytest.fixture
def backbone() -> MiniBackbone:
    return tiny_backbone().requires_grad_(False)


@pytest.fixture
def request_of_one(backbone: MiniBackbone) -> BaselineRequest:
    """Three liked pictures with captions."""
    generator = torch.Generator().manual_seed(3)
    spec = backbone.spec
    history = torch.randint(spec.num_visual, (3, spec.tokens_per_image), generator=generator)
    return BaselineRequest(history, ("a cat", "a happy cat", "a dog"), "a happy sticker", 5)


@pytest.fixture
def other_request(request_of_one: BaselineRequest) -> BaselineRequest:
    """The same wish of someone who likes other pictures, captioned alike."""
    return replace(request_of_one, history_HT=(request_of_one.history_HT + 123) % 1000)


@pytest.fixture
def empty_request(request_of_one: BaselineRequest) -> BaselineRequest:
    """The same wish of someone who has liked nothing yet."""
    return replace(request_of_one, history_HT=request_of_one.history_HT[:0], captions=())
