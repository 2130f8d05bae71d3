"""The reserved cache holds what transformers' own does."""

import pytest
import torch
from transformers import DynamicCache

from pigeon_recsys.model.cache import ReservedCache


def test_it_returns_what_a_cache_that_copies_returns() -> None:
    generator = torch.Generator().manual_seed(0)
    reserved, copied = ReservedCache(room=6), DynamicCache()
    for num_tokens in (3, 1, 2):
        keys, values = torch.randn(2, 2, 4, num_tokens, 8, generator=generator)
        for layer in range(2):
            ours = reserved.update(keys + layer, values, layer)
            theirs = copied.update(keys + layer, values, layer)
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert reserved.get_seq_length() == copied.get_seq_length()


def test_more_than_its_room_is_refused() -> None:
    cache = ReservedCache(room=2)
    states = torch.zeros(1, 1, 3, 4)
    with pytest.raises(AssertionError, match="room for 2 keys, 3 were given"):
        cache.update(states, states, 0)


def test_a_pass_that_only_fills_ends_with_the_last_layer_and_leaves_the_same() -> None:
    filled, whole = ReservedCache(room=4), ReservedCache(room=4)
    keys, values = torch.randn(2, 2, 4, 3, 8, generator=torch.Generator().manual_seed(0))
    passed = []
    with filled.only_filled(num_layers=2):
        for layer in range(2):
            filled.update(keys + layer, values, layer)
            passed.append(layer)
    assert passed == [0]
    for layer in range(2):
        whole.update(keys + layer, values, layer)
    for layer in range(2):  # outside the block no pass ends
        ours = filled.update(keys[:, :, :1], values[:, :, :1], layer)
        theirs = whole.update(keys[:, :, :1], values[:, :, :1], layer)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_other_errors_inside_a_filling_pass_are_not_swallowed() -> None:
    cache = ReservedCache(room=3)
    with pytest.raises(KeyError), cache.only_filled(num_layers=1):
        raise KeyError
