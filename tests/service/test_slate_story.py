"""What a slate's page tells is what its draft holds."""

from dataclasses import replace

import pytest

from pigeon_recsys.generation.image_names import sweep_name
from pigeon_recsys.generation.ladder import Rung
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.exploration import SlotPolicy
from pigeon_recsys.records import Placement, Reference, ScoredItem, SlotRequest
from pigeon_recsys.service.pictured import Pictures
from pigeon_recsys.service.slate_story import SlateStory, tell_slate
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.slot.slot import Slot
from tests.service.sticker_service import ADA, CALIBRATION, LIKED, make_service

ASKED = Reference("sticker-7", "a happy bear")
OWN = tuple(ScoredItem(f"sticker-{number}", 15.0 - number) for number in range(6, 12))


def told(service: SlotService, **changes: object) -> SlateStory:
    """Fill a slate and tell its story."""
    request = replace(SlotRequest("r1", ADA, ASKED, slate_size=5), **changes)
    service.fill(request)
    draft, slate = service.slot.parts.recent.of_request("r1")
    pictures = Pictures(service.slot.parts.catalog, service.parts.images)
    return tell_slate(draft, slate, pictures, service.slot.settings.deadline_ms)


def test_the_feed_shows_each_place_with_its_picture_and_the_generated_one_marked():
    story = told(make_service())
    assert [tile.placement for tile in story.feed] == list(story.slate.placements)
    assert all(tile.shown.pixels is not None for tile in story.feed)
    (made,) = [tile for tile in story.feed if tile.is_generated]
    assert made.made_id == story.told.item_id
    assert made.shown.title == "a happy bear"


def test_a_fresh_picture_stands_beside_its_masked_history_and_reference():
    story = told(make_service())
    assert [item.item_id for item in story.history] == list(LIKED)
    assert set(story.masks) == set(LIKED)
    assert story.reference == ASKED
    assert story.reference_shown.title == "cool bear"


def test_scores_stand_before_and_after_calibration_for_candidates_and_offers():
    story = told(make_service(), candidates=OWN)
    assert [row.item_id for row in story.candidates] == [item.item_id for item in OWN]
    assert [row.given for row in story.candidates] == [item.score for item in OWN]
    for row in story.candidates:
        assert row.calibrated == pytest.approx(CALIBRATION.apply([row.raw], "catalog")[0], abs=1e-6)
    (offer,) = story.offers
    assert offer.raw == pytest.approx(0.9)
    assert offer.calibrated == pytest.approx(CALIBRATION.apply([0.9], "generated")[0], abs=1e-6)


def test_a_candidate_nobody_knows_has_no_scores_and_keeps_its_id():
    strange = ScoredItem("nobody-knows", 99.0)
    row = told(make_service(), candidates=(strange, *OWN)).candidates[0]
    assert (row.title, row.raw, row.calibrated, row.position) == ("nobody-knows", None, None, 0)


def test_a_constraint_that_fired_is_named_with_its_line():
    story = told(make_service(BlendConstraints((0, 1), min_score=0.99, order="as_given")))
    (row,) = story.fired
    assert row.code == "min_score"
    assert "not placed" in row.line
    assert row.position is None
    assert not any(tile.is_generated for tile in story.feed)


def test_the_rung_taken_is_told_with_what_kept_from_higher_ones():
    service = make_service()
    told(service)
    story = told(service, deadline_ms=400.0)  # a picture is expected to take seconds
    assert story.slate.rung == Rung.STORED
    states = {row.rung: row.state for row in story.rungs}
    assert states == {
        Rung.FRESH: "left out",
        Rung.FEW_STEPS: "not tried",
        Rung.REDRAW: "not tried",
        Rung.STORED: "taken",
        Rung.CATALOG: "not needed",
    }
    assert "are left" in story.rungs[0].why
    assert [tile.shown.pixels is not None for tile in story.feed if tile.is_generated] == [True]


def test_a_stored_picture_tells_its_masks_and_the_scores_of_its_sweep():
    service = make_service()
    fresh = told(service).told
    stored = told(service, deadline_ms=400.0)
    assert stored.draft.found.generation is None
    assert stored.told.item_id == fresh.item_id
    assert [item.item_id for item in stored.history] == list(LIKED)
    assert stored.told.history_masks == fresh.history_masks
    assert [(one.reference_mask_ratio, one.score) for one in stored.told.sweep] == [
        (one.reference_mask_ratio, one.score) for one in fresh.sweep
    ]
    assert stored.told.stored_pixels is not None
    assert stored.reference == ASKED


@pytest.mark.parametrize("content", [None, b"no record"])
def test_a_stored_picture_without_a_sweep_that_can_be_read_is_told_without_it(content):
    service = make_service()
    made = told(service).told
    name = sweep_name(made.provenance.content_hash)
    service.parts.images.delete(name)
    if content is not None:
        service.parts.images.write(name, content)
    story = told(service, deadline_ms=400.0)
    assert story.told.item_id == made.item_id
    assert (story.told.history_masks, story.told.sweep, story.masks) == ((), (), {})


def test_without_any_picture_nothing_is_told_of_one():
    story = told(make_service(), deadline_ms=400.0)
    assert (story.told, dict(story.masks), story.slate.rung) == (None, {}, Rung.CATALOG)
    assert [item.item_id for item in story.history] == list(LIKED)


def test_stages_follow_each_other_and_add_up():
    """Each starts where the one before it ended."""
    story = told(make_service(), deadline_ms=60_000.0)
    assert [stage.name for stage in story.stages][:2] == ["history", "candidates"]
    for before, after in zip(story.stages, story.stages[1:], strict=False):
        assert after.start_ms == pytest.approx(before.start_ms + before.took_ms)
    assert story.total_ms == pytest.approx(sum(stage.took_ms for stage in story.stages))
    assert story.allowed_ms == 60_000.0


def test_without_a_deadline_of_its_own_the_slots_holds():
    service = make_service()
    settings = replace(service.slot.settings, deadline_ms=50_000.0)
    story = told(SlotService(Slot(service.slot.parts, settings), service.parts))
    assert story.allowed_ms == 50_000.0


def test_a_slate_given_up_says_so_and_shows_what_there_was():
    story = told(make_service(), user_id="nobody")
    assert not story.is_whole
    assert story.feed
    assert (story.history, story.offers, story.rungs) == ((), (), ())


def test_an_expired_deadline_leaves_no_stage():
    story = told(make_service(), deadline_ms=0.0, candidates=OWN)
    assert not story.is_whole
    assert story.stages == ()
    assert [row.raw for row in story.candidates] == [None] * len(OWN)


def test_a_policy_tells_the_chance_of_each_choice_and_what_was_none():
    service = make_service()
    settings = replace(service.slot.settings, policy=SlotPolicy())
    story = told(SlotService(Slot(service.slot.parts, settings), service.parts))
    (row,) = story.offers
    assert row.propensity == 1.0
    if row.position is None:  # the draw left the slot empty
        assert (row.code, row.line.endswith("not chosen by the policy")) == ("not_chosen", True)


def test_what_cannot_be_placed_was_no_choice_of_the_policy():
    service = make_service(BlendConstraints((0, 1), min_score=0.99, order="as_given"))
    settings = replace(service.slot.settings, policy=SlotPolicy())
    (row,) = told(SlotService(Slot(service.slot.parts, settings), service.parts)).offers
    assert row.propensity is None
    assert row.line.endswith("was no choice: no place is open to it")


def test_a_creative_shows_its_picture_under_the_title_of_its_item():
    service = make_service()
    story = told(service)
    made_id = story.told.item_id
    worn = Placement(0, "sticker-8", 1.0, is_generated=False, creative_id=made_id)
    pictures = Pictures(service.slot.parts.catalog, service.parts.images)
    slate = replace(story.slate, placements=(worn,))
    (tile,) = tell_slate(story.draft, slate, pictures).feed
    assert tile.is_generated
    assert tile.made_id == made_id
    assert tile.shown.title == pictures.title("sticker-8")
    assert (tile.shown.pixels == story.draft.found.generation.pixels).all()


def test_without_an_image_store_a_stored_picture_says_why_it_is_missing():
    service = make_service()
    told(service)
    bare = SlotService(service.slot, replace(service.parts, images=None))
    story = told(bare, deadline_ms=400.0)
    (row,) = story.offers
    assert row.shown.pixels is None
    assert "no image store is configured" in row.shown.missing
