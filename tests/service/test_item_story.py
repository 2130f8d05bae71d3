"""What an item's page tells: its making, its file, its slates."""

import pytest

from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.generation.xmp import GENERATED
from pigeon_recsys.records import Reference, SlotRequest
from pigeon_recsys.service.item_story import tell_item
from pigeon_recsys.service.pictured import Pictures
from pigeon_recsys.slot.recent_slates import RecentSlates
from tests.service.sticker_service import ADA, BOB, LIKED, make_service


@pytest.fixture
def service():
    service = make_service()
    for number, user_id in enumerate((ADA, BOB)):
        service.fill(SlotRequest(f"r{number}", user_id, Reference("sticker-7")))
    return service


def pictures(service):
    return Pictures(service.slot.parts.catalog, service.parts.images)


def made_for(service, request_id):
    return service.slot.parts.recent.of_request(request_id)[1].items[0]


def test_a_stored_item_is_told_with_history_reference_and_the_slates_that_show_it(service):
    item = made_for(service, "r0")
    story = tell_item(
        item.item_id, pictures(service), service.parts.items, service.slot.parts.recent
    )
    assert story.item == item
    assert story.is_stored
    assert [each.item_id for each in story.history] == list(LIKED)
    assert story.reference_shown.item_id == "sticker-7"
    assert [slate.request_id for slate in story.slates] == ["r0"]


def test_the_file_says_that_a_model_made_it_and_that_nobody_changed_it(service):
    item = made_for(service, "r0")
    recent = service.slot.parts.recent
    word = tell_item(item.item_id, pictures(service), service.parts.items, recent).file
    assert (word.source_type, word.is_unchanged, word.fault) == (GENERATED, True, "")


def test_another_picture_in_its_place_is_told(service):
    ada, bob = made_for(service, "r0"), made_for(service, "r1")
    images = service.parts.images
    other = images.read(picture_name(bob.provenance.content_hash))
    images.write(picture_name(ada.provenance.content_hash), other[:-40])
    recent = service.slot.parts.recent
    word = tell_item(ada.item_id, pictures(service), service.parts.items, recent).file
    assert not word.is_unchanged


def test_a_store_of_pictures_that_fails_is_told_in_the_files_place(service):
    item = made_for(service, "r0")
    service.parts.images.failures_left = 1
    recent = service.slot.parts.recent
    word = tell_item(item.item_id, pictures(service), service.parts.items, recent).file
    assert word.fault == "ImageStoreError, which the log explains"


def test_an_item_in_no_store_is_known_from_the_request_it_was_made_for(service):
    item = made_for(service, "r0")
    catalog = Pictures(service.slot.parts.catalog)
    story = tell_item(item.item_id, catalog, None, service.slot.parts.recent)
    assert not story.is_stored
    assert story.file is None
    assert story.shown.pixels is not None


def test_nothing_is_told_of_an_item_nobody_knows(service):
    assert tell_item("gen-0", pictures(service), service.parts.items, RecentSlates()) is None
