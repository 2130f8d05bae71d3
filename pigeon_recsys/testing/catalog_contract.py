"""What every `ItemCatalog` must do, as tests to inherit.

    class TestMyCatalog(ItemCatalogContract):
        def make_catalog(self) -> ItemCatalog:
            return MyCatalog(...)

`make_catalog` returns a catalog of at least two items, with at most a thousand.
"""

from abc import ABC, abstractmethod

import numpy as np
import pytest

from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.ports import ItemCatalog
from pigeon_recsys.records import GENERATED_PREFIX

EVERYTHING = 1000
UNKNOWN_ID = "no such item, surely"


class ItemCatalogContract(ABC):
    """Inherit and supply `make_catalog`."""

    @abstractmethod
    def make_catalog(self) -> ItemCatalog:
        """Return a catalog of at least two items."""

    def test_it_has_the_methods_of_the_port(self) -> None:
        assert isinstance(self.make_catalog(), ItemCatalog)

    def test_popular_is_best_first_with_ties_by_id(self) -> None:
        popular = self.make_catalog().popular(EVERYTHING)
        assert len(popular) >= 2
        assert popular == sorted(popular, key=lambda item: (-item.score, item.item_id))

    def test_popular_names_an_item_once(self) -> None:
        item_ids = [item.item_id for item in self.make_catalog().popular(EVERYTHING)]
        assert len(item_ids) == len(set(item_ids))

    def test_a_limit_cuts_the_popular_items(self) -> None:
        catalog = self.make_catalog()
        assert catalog.popular(1) == catalog.popular(EVERYTHING)[:1]
        assert catalog.popular(0) == []

    def test_an_item_comes_back_under_its_id(self) -> None:
        catalog = self.make_catalog()
        for scored in catalog.popular(EVERYTHING):
            assert catalog.item(scored.item_id).item_id == scored.item_id

    def test_it_has_its_items_and_no_others(self) -> None:
        catalog = self.make_catalog()
        item_ids = [item.item_id for item in catalog.popular(EVERYTHING)]
        asked = [UNKNOWN_ID, *item_ids, f"{GENERATED_PREFIX}0"]
        assert catalog.has(asked) == [False, *[True] * len(item_ids), False]
        assert catalog.has([]) == []

    def test_an_attribute_is_a_text_or_a_tuple_of_texts_and_never_empty(self) -> None:
        catalog = self.make_catalog()
        for scored in catalog.popular(EVERYTHING):
            for value in catalog.item(scored.item_id).attributes.values():
                assert value
                texts = value if isinstance(value, tuple) else (value,)
                assert all(isinstance(text, str) and text for text in texts)

    def test_pixels_are_bytes_in_rgb(self) -> None:
        catalog = self.make_catalog()
        for scored in catalog.popular(5):
            pixels = catalog.pixels(scored.item_id)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3
            assert pixels.size > 0

    def test_pixels_are_the_same_each_time(self) -> None:
        catalog = self.make_catalog()
        item_id = catalog.popular(1)[0].item_id
        assert np.array_equal(catalog.pixels(item_id), catalog.pixels(item_id))

    def test_an_unknown_item_raises_unknown_item(self) -> None:
        with pytest.raises(UnknownItem, match=UNKNOWN_ID):
            self.make_catalog().item(UNKNOWN_ID)

    def test_the_pixels_of_an_unknown_item_raise_unknown_item(self) -> None:
        with pytest.raises(UnknownItem, match=UNKNOWN_ID):
            self.make_catalog().pixels(UNKNOWN_ID)
