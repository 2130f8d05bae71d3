"""The reserved cache holds what transformers' own does."""

import pytest
import torch
from transformers import DynamicCache

from pigeon_recsys.model.cache import reserved_cache


def test_it_returns_what_a_cache_that_copies_returns() -> None:
    generator = torch.Generator().manual_seed(0)
    reserved, copied = reserved_cache(room=6), DynamicCache()
    for num_tokens in (3, 1, 2):
        keys, values = torch.randn(2, 2, 4, num_tokens, 8, generator=generator)
        for layer in range(2):
            ours = reserved.update(keys + layer, values, layer)
            theirs = copied.update(keys + layer, values, layer)
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert reserved.get_seq_length() == copied.get_seq_length()


def test_more_than_its_room_is_refused() -> None:
    cache = reserved_cache(room=2)
    states = torch.zeros(1, 1, 3, 4)
    with pytest.raises(AssertionError, match="room for 2 keys, 3 were given"):
        cache.update(states, states, 0)
