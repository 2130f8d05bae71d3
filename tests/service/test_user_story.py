"""What a user's page tells: history, generated items, slates."""

import pytest

from pigeon_recsys.records import Reference, SlotRequest
from pigeon_recsys.service.pictured import Pictures
from pigeon_recsys.service.user_story import tell_user
from tests.service.sticker_service import ADA, BOB, LIKED, make_service


@pytest.fixture
def told():
    """The story of a user after three slates."""
    service = make_service()
    for request_id, user_id in (("r1", ADA), ("r2", BOB), ("r3", "nobody"), ("r4", ADA)):
        service.fill(SlotRequest(request_id, user_id, Reference("sticker-7")))
    parts = service.slot.parts
    pictures = Pictures(parts.catalog, service.parts.images)
    return lambda user_id: tell_user(
        user_id, pictures, parts.histories, service.parts.items, parts.recent
    )


def test_slates_items_and_likes_of_the_user_alone_newest_first(told):
    story = told(ADA)
    assert [line.slate.request_id for line in story.slates] == ["r4", "r1"]
    assert [item.item_id for item in story.liked] == list(reversed(LIKED))
    (made,) = story.items
    assert made.item.provenance.user_id == ADA
    assert made.shown.pixels is not None


def test_a_line_tells_the_generated_picture_and_its_place(told):
    line = told(ADA).slates[0]
    assert line.placed.is_generated
    assert line.made.item_id == line.placed.item_id


def test_a_user_without_history_is_known_by_the_slate(told):
    story = told("nobody")
    assert story.history is None
    assert story.liked == ()
    assert [(line.slate.request_id, line.made) for line in story.slates] == [("r3", None)]


def test_nothing_is_told_of_a_user_nobody_knows(told):
    assert told("stranger") is None
