"""What every `ItemIndex` must do, as tests to inherit.

    class TestMyIndex(ItemIndexContract):
        def make_index(self, item_ids, vectors_ND) -> ItemIndex:
            return MyIndex(item_ids, vectors_ND)

The vectors lie in a plane, so that every expected score is a cosine of known angles.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import pytest

from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import Vectors

ANGLES = {"east": 0, "near-east": 30, "north-east": 45, "north": 90, "west": 180}  # degrees


def unit_vectors(degrees: Sequence[float]) -> Vectors:
    """Return one unit vector of the plane per angle, (N, 2)."""
    radians = np.deg2rad(degrees)
    rows: Vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    return rows


class ItemIndexContract(ABC):
    """Inherit and supply `make_index`."""

    @abstractmethod
    def make_index(self, item_ids: Sequence[str], vectors_ND: Vectors) -> ItemIndex:
        """Return an index of these items, one vector a row."""

    @pytest.fixture
    def index(self) -> ItemIndex:
        """The five compass points of `ANGLES`."""
        return self.make_index(list(ANGLES), unit_vectors(list(ANGLES.values())))

    @pytest.fixture
    def east(self) -> Vectors:
        """A query that points east."""
        query: Vectors = unit_vectors([0])[0]
        return query

    def test_it_has_the_methods_of_the_port(self, index: ItemIndex) -> None:
        assert isinstance(index, ItemIndex)

    def test_the_nearest_come_first_with_their_inner_products(
        self, index: ItemIndex, east: Vectors
    ) -> None:
        """Cosines of 0, 30 and 45 degrees: 1, √3/2 and √2/2."""
        found = index.search(east, 3)
        assert [item.item_id for item in found] == ["east", "near-east", "north-east"]
        assert [item.score for item in found] == pytest.approx([1, 3**0.5 / 2, 0.5**0.5], abs=1e-6)

    def test_a_k_above_the_number_of_items_returns_all(
        self, index: ItemIndex, east: Vectors
    ) -> None:
        assert [item.item_id for item in index.search(east, 99)] == list(ANGLES)

    def test_equal_scores_are_ordered_by_id(self) -> None:
        index = self.make_index(["b", "c", "a"], unit_vectors([60, 60, 60]))
        found = index.search(unit_vectors([0])[0], 3)
        assert [item.item_id for item in found] == ["a", "b", "c"]

    def test_within_restricts_the_search(self, index: ItemIndex, east: Vectors) -> None:
        found = index.search(east, 5, within=["west", "north"])
        assert [item.item_id for item in found] == ["north", "west"]
        assert [item.score for item in found] == pytest.approx([0, -1], abs=1e-6)

    def test_within_ignores_ids_that_are_not_indexed(self, index: ItemIndex, east: Vectors) -> None:
        found = index.search(east, 5, within=["nowhere", "north"])
        assert [item.item_id for item in found] == ["north"]

    def test_within_counts_an_id_given_twice_once(self, index: ItemIndex, east: Vectors) -> None:
        found = index.search(east, 5, within=["north", "north"])
        assert [item.item_id for item in found] == ["north"]

    def test_within_nothing_finds_nothing(self, index: ItemIndex, east: Vectors) -> None:
        assert index.search(east, 5, within=[]) == []
        assert index.search(east, 5, within=["nowhere"]) == []

    def test_vectors_come_back_in_the_order_asked_for(self, index: ItemIndex) -> None:
        found = index.vectors(["west", "east"])
        np.testing.assert_allclose(found, unit_vectors([180, 0]), atol=1e-6)
        assert found.dtype == np.float32

    def test_no_ids_give_no_vectors_of_the_right_width(self, index: ItemIndex) -> None:
        assert index.vectors([]).shape == (0, 2)

    def test_the_vector_of_an_unknown_item_raises_unknown_item(self, index: ItemIndex) -> None:
        with pytest.raises(UnknownItem, match="'nowhere' among its 5 items"):
            index.vectors(["east", "nowhere"])
