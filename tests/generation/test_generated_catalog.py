"""A generated item is an item like any other, about what its reference is about."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import ImageStoreError, ItemStoreError, UnknownItem
from pigeon_recsys.generation.generated_catalog import CatalogWithGenerated
from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.generation.picture_file import encode_picture
from pigeon_recsys.ports import ItemCatalog
from pigeon_recsys.records import GeneratedItem, Reference
from pigeon_recsys.testing.catalog_contract import ItemCatalogContract
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder, FakeGenerator
from pigeon_recsys.testing.generator_contract import make_task

CATALOG = FakeCatalog()


@pytest.fixture
def both() -> CatalogWithGenerated:
    return CatalogWithGenerated(CATALOG, FakeGeneratedItemStore(), FakeImageStore())


@pytest.fixture
def item(both: CatalogWithGenerated) -> GeneratedItem:
    (made,) = FakeGenerator().generate([make_task()])
    name = picture_name(made.provenance.content_hash)
    vector = FakeEmbedder().embed([made.pixels])[0]
    url = both.images.write(name, encode_picture(made))
    item = GeneratedItem(made.item_id, url, vector, "key", "request", made.provenance)
    both.items.put([item])
    return item


class TestCatalogWithGenerated(ItemCatalogContract):
    def make_catalog(self) -> ItemCatalog:
        return CatalogWithGenerated(CATALOG, FakeGeneratedItemStore(), FakeImageStore())


def test_it_is_about_its_reference_and_shows_its_picture(
    both: CatalogWithGenerated, item: GeneratedItem
) -> None:
    about = CATALOG.item(item.provenance.reference.item_id or "")
    assert both.item(item.item_id) == replace(about, item_id=item.item_id)
    (made,) = FakeGenerator().generate([make_task()])
    assert np.array_equal(both.pixels(item.item_id), made.pixels)


def test_it_is_none_of_the_items_that_anybody_may_be_shown(
    both: CatalogWithGenerated, item: GeneratedItem
) -> None:
    assert both.has([CATALOG.item_ids[0], item.item_id]) == [True, False]


def test_one_made_of_a_text_is_about_the_text(
    both: CatalogWithGenerated, item: GeneratedItem
) -> None:
    said = replace(item.provenance, reference=Reference(text="a cat"))
    both.items.put([replace(item, provenance=said)])
    found = both.item(item.item_id)
    assert (found.title, found.instruction, found.attributes) == ("a cat", "a cat", {})


def test_one_that_nobody_knows_is_unknown(both: CatalogWithGenerated) -> None:
    with pytest.raises(UnknownItem, match="the store of generated items holds no item 'gen-0'"):
        both.item("gen-0")


def test_a_picture_that_is_lost_or_broken_is_named(
    both: CatalogWithGenerated, item: GeneratedItem
) -> None:
    name = picture_name(item.provenance.content_hash)
    both.images.write(name, b"no picture")
    with pytest.raises(ImageStoreError, match=f"{name} in the image store is no PNG"):
        both.pixels(item.item_id)
    empty = replace(both, images=FakeImageStore())
    with pytest.raises(ImageStoreError, match=f"the image store holds no {name}"):
        empty.pixels(item.item_id)


def test_a_store_that_fails_says_so(both: CatalogWithGenerated, item: GeneratedItem) -> None:
    failing = replace(both, items=FakeGeneratedItemStore(failures_left=1))
    with pytest.raises(ItemStoreError):
        failing.item(item.item_id)
