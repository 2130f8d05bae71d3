"""A key-value cache that grows in place.

`transformers.DynamicCache` copies every key and value at every token, and its `StaticCache`
attends over room that is still empty. Here room is reserved once and only the filled part
of it is attended to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

# B rows, A attention heads, N keys, D width of a head


class ReservedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """The keys and values of one layer, in room for `room` of them."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._room = room
        self._length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Reserve room in the shape of the first keys and values."""
        super().lazy_initialization(key_states, value_states)
        rows, heads, _, key_width = key_states.shape
        self._keys_BAND = key_states.new_empty(rows, heads, self._room, key_width)
        value_width = value_states.shape[3]
        self._values_BAND = value_states.new_empty(rows, heads, self._room, value_width)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add keys_BAND and values_BAND behind the others; return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self._length, self._length + key_states.shape[2]
        assert end <= self._room, f"the cache has room for {self._room} keys, {end} were given"
        self._keys_BAND[:, :, start:end] = key_states
        self._values_BAND[:, :, start:end] = value_states
        self._length = end
        self.keys = self._keys_BAND[:, :, :end]
        self.values = self._values_BAND[:, :, :end]
        return self.keys, self.values


class ReservedCache(Cache):
    """Keys and values of all layers, each with room for `room` tokens of each row."""

    def __init__(self, room: int) -> None:
        make_layer = partial(ReservedLayer, room)  # called once a layer, like the class
        super().__init__(layer_class_to_replicate=make_layer)  # type: ignore[arg-type]
        self._last_layer: int | None = None

    @contextmanager
    def only_filled(self, num_layers: int) -> Iterator[None]:
        """End a pass of the language model inside the block once its last keys are stored.

        What the last layer makes of a prompt is read by nobody but the keys and values of the
        prompt itself: its attention and feed-forward would be worked out in vain.
        """
        self._last_layer = num_layers - 1
        try:
            yield
        except _Filled:
            pass
        finally:
            self._last_layer = None

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add keys_BAND and values_BAND to a layer's; return all of them."""
        all_of_them: tuple[Tensor, Tensor] = super().update(
            key_states, value_states, layer_idx, *args, **kwargs
        )
        if layer_idx == self._last_layer:
            raise _Filled
        return all_of_them


class _Filled(Exception):
    """The last layer's keys and values are stored."""
