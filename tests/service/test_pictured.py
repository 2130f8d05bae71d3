"""Titles and pictures, and what stands in their place."""

import pytest

from pigeon_recsys.errors import ImageStoreError, ItemStoreError
from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.records import Reference, SlotRequest
from pigeon_recsys.service.pictured import Pictures
from pigeon_recsys.testing.fake_stores import FakeImageStore
from pigeon_recsys.testing.fakes import FakeCatalog
from tests.service.sticker_service import ADA, make_service


class FailingCatalog(FakeCatalog):
    def item(self, item_id):
        raise ItemStoreError("the store at redis://10.0.0.7 is down")


@pytest.fixture
def made():
    """A stored item, and the store of its picture."""
    service = make_service()
    slate = service.fill(SlotRequest("r1", ADA, Reference("sticker-7")))
    return slate.items[0], service.parts.images


def test_an_item_the_catalog_lacks_has_its_id_for_a_title_and_says_why():
    shown = Pictures(FakeCatalog()).of_catalog("gone")
    assert (shown.title, shown.pixels) == ("gone", None)
    assert shown.missing == "the catalog holds no item 'gone' among its 10 items."


def test_a_catalog_that_fails_is_told_of_in_the_pictures_place(caplog):
    pictures = Pictures(FailingCatalog())
    assert pictures.of_catalog("gen-1").missing == "ItemStoreError, which the log explains"
    assert "the store at redis://10.0.0.7 is down" in caplog.text
    assert pictures.title("gen-1") == "gen-1"


def test_a_stored_picture_is_shown(made):
    item, images = made
    shown = Pictures(FakeCatalog(), images).of_made(item)
    assert shown.pixels is not None
    assert not shown.missing


@pytest.mark.parametrize(
    ("images", "missing"),
    [
        (None, "there is no picture of {}: no image store is configured."),
        (FakeImageStore(), "there is no picture of {}: it is not stored."),
        (FakeImageStore(failures_left=1), "ImageStoreError, which the log explains"),
    ],
)
def test_a_picture_that_is_gone_says_why(made, images, missing):
    item, _ = made
    shown = Pictures(FakeCatalog(), images).of_made(item)
    assert shown.pixels is None
    assert shown.missing == missing.format(item.item_id)


def test_a_file_that_is_no_picture_says_so(made):
    item, images = made
    images.write(picture_name(item.provenance.content_hash), b"no picture")
    shown = Pictures(FakeCatalog(), images).of_made(item)
    assert shown.pixels is None
    assert shown.missing


def test_a_generated_item_is_called_by_what_it_should_show(made):
    pictures = Pictures(FakeCatalog())
    assert pictures.title_of_reference(Reference("item-00")) == "cat"
    assert pictures.title_of_reference(Reference("item-00", " a red cat ")) == "a red cat"


def test_a_file_is_not_read_without_a_store(made):
    item, images = made
    assert Pictures(FakeCatalog()).file(item) is None
    images.failures_left = 1
    with pytest.raises(ImageStoreError):
        Pictures(FakeCatalog(), images).file(item)
