"""The slot composed of fakes: what a slate holds, and what goes wrong without harm."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.generation.generated_catalog import CatalogWithGenerated
from pigeon_recsys.ranking.constraints import BlendConstraints, BlendPolicy
from pigeon_recsys.records import History, Reference, ScoredItem, SlotRequest
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.slot.stages import NO_LIKES, UNKNOWN_USER
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeHistoryStore,
    FakeIndex,
    FakeRanker,
)
from pigeon_recsys.testing.generated_item_store_contract import make_item
from tests.slot.conftest import (
    ANYWHERE,
    LIKED,
    MakeRequest,
    MakeSlot,
    RecordingGenerator,
    history,
)

CATALOG_IDS = FakeCatalog(num_items=10).item_ids


def test_a_slate_holds_one_generated_item_among_ranked_candidates(
    slot: Slot, request_of: MakeRequest
) -> None:
    slate = slot.fill(request_of("ada"))
    generated = [place for place in slate.placements if place.is_generated]
    assert slate.generation is not None
    assert [place.item_id for place in generated] == [slate.generation.item_id]
    assert len(slate.placements) == 5
    assert [place.position for place in slate.placements] == [0, 1, 2, 3, 4]
    scores = [place.score for place in slate.placements]
    assert scores == sorted(scores, reverse=True)


def test_the_generator_sees_only_liked_images_and_the_reference(
    slot: Slot, generator: RecordingGenerator, request_of: MakeRequest
) -> None:
    slot.fill(request_of("ada", seed=11))
    (task,) = generator.tasks
    assert [image.item_id for image in task.history] == list(LIKED)
    assert task.reference == Reference("item-07", "cake")
    assert (task.reference_pixels == slot.parts.catalog.pixels("item-07")).all()
    assert task.seed == 11


def test_few_likes_mean_fewer_history_images(
    slot: Slot, generator: RecordingGenerator, request_of: MakeRequest
) -> None:
    assert slot.fill(request_of("bob")).generation is not None
    assert [image.item_id for image in generator.tasks[0].history] == ["item-01"]


def test_liked_items_are_not_retrieved_again(slot: Slot, request_of: MakeRequest) -> None:
    slate = slot.fill(request_of("ada", slate_size=10))
    assert not {place.item_id for place in slate.placements} & set(LIKED)


@pytest.fixture
def shared_index(make_slot: MakeSlot) -> Slot:
    """A slot over an index that `stream follow` keeps: it holds other users' pictures too.

    They look just like what ada likes, and there are more of them than candidates are asked for.
    """
    catalog, items = FakeCatalog(num_items=10), FakeGeneratedItemStore()
    vectors_ND = FakeEmbedder().embed([catalog.pixels(i) for i in catalog.item_ids])
    taste_D = vectors_ND[1]
    others = [replace(make_item(n, user_id="eve"), embedding=taste_D) for n in range(20)]
    items.put(others)
    ids = [*catalog.item_ids, *(item.item_id for item in others), "retired"]
    rows_ND = np.concatenate([vectors_ND, np.tile(taste_D, (len(others) + 1, 1))])
    return make_slot(
        replace(ANYWHERE, num_candidates=5),
        catalog=CatalogWithGenerated(catalog, items, FakeImageStore()),
        index=FakeIndex(ids, rows_ND),
    )


@pytest.mark.parametrize("reference", [None, Reference("item-01")])
def test_other_users_pictures_are_neither_candidates_nor_the_reference(
    shared_index: Slot,
    generator: RecordingGenerator,
    request_of: MakeRequest,
    reference: Reference | None,
) -> None:
    slate = shared_index.fill(request_of("ada", reference=reference, slate_size=10))
    catalog = [place.item_id for place in slate.placements if not place.is_generated]
    assert len(catalog) == 5
    assert all(item_id.startswith("item-") for item_id in catalog)
    (task,) = generator.tasks
    assert task.reference.item_id in CATALOG_IDS
    assert {place.item_id for place in slate.placements if place.is_generated} == {
        slate.generation.item_id if slate.generation else None
    }


def test_an_item_that_left_the_catalog_is_not_retrieved(
    make_slot: MakeSlot, slot: Slot, request_of: MakeRequest
) -> None:
    """It failed the blend of the whole slate: an item without a probability has no rank."""
    ids = (*CATALOG_IDS, "retired")
    vectors_ND = slot.parts.index.vectors([*CATALOG_IDS, "item-07"])
    late = make_slot(index=FakeIndex(ids, vectors_ND))
    slate = late.fill(request_of("ada", slate_size=10))
    assert any(place.is_generated for place in slate.placements), slate.reason
    assert "retired" not in {place.item_id for place in slate.placements}


def test_the_requests_own_candidates_are_the_only_catalog_items(
    slot: Slot, request_of: MakeRequest
) -> None:
    own = (ScoredItem("item-08", 3.0), ScoredItem("item-09", 2.0))
    slate = slot.fill(request_of("ada", candidates=own))
    catalog = {place.item_id for place in slate.placements if not place.is_generated}
    assert catalog == {"item-08", "item-09"}


def test_a_reference_retrieves_items_like_it(
    make_slot: MakeSlot, slot: Slot, request_of: MakeRequest
) -> None:
    narrow = make_slot(replace(ANYWHERE, num_candidates=3))
    slate = narrow.fill(request_of("ada", slate_size=10))
    vector = slot.parts.index.vectors(["item-07"])[0]
    nearest = [item.item_id for item in slot.parts.index.search(vector, 10)]
    expected = [item_id for item_id in nearest if item_id not in LIKED][:3]
    catalog = [place.item_id for place in slate.placements if not place.is_generated]
    assert sorted(catalog) == sorted(expected)


def test_without_a_reference_the_best_candidate_is_it(
    make_slot: MakeSlot, generator: RecordingGenerator, request_of: MakeRequest
) -> None:
    sure = make_slot(ranker=FakeRanker({"item-06": 0.999}))
    sure.fill(request_of("ada", reference=None))
    assert generator.tasks[0].reference.item_id == "item-06"


def test_a_text_alone_is_a_reference(
    slot: Slot, generator: RecordingGenerator, request_of: MakeRequest
) -> None:
    slot.fill(request_of("ada", reference=Reference(text="a happy cake")))
    assert generator.tasks[0].reference_pixels is None


@pytest.mark.parametrize(("user_id", "reason"), [("nobody", UNKNOWN_USER), ("cleo", NO_LIKES)])
def test_nothing_known_gives_a_cold_start_slate(
    slot: Slot, generator: RecordingGenerator, user_id: str, reason: str, request_of: MakeRequest
) -> None:
    slate = slot.fill(request_of(user_id, slate_size=3))
    assert slate.reason == reason
    assert slate.generation is None
    assert generator.tasks == []
    assert [place.item_id for place in slate.placements] == ["item-00", "item-01", "item-02"]


def test_a_cold_start_keeps_the_callers_candidates(slot: Slot, request_of: MakeRequest) -> None:
    own = (ScoredItem("item-08", 2.0), ScoredItem("item-09", 3.0))
    slate = slot.fill(request_of("nobody", candidates=own))
    assert [place.item_id for place in slate.placements] == ["item-08", "item-09"]


def test_a_failed_generation_leaves_the_catalog_slate(slot: Slot, request_of: MakeRequest) -> None:
    slate = slot.fill(request_of("unlucky"))
    assert slate.reason == "no generated item: fresh: the fake generator fails for user 'unlucky'"
    assert len(slate.placements) == 5
    assert not any(place.is_generated for place in slate.placements)


def test_an_unknown_reference_leaves_the_catalog_slate(slot: Slot, request_of: MakeRequest) -> None:
    slate = slot.fill(request_of("ada", reference=Reference("item-99")))
    assert slate.reason == (
        "no generated item: fresh: the index holds no item 'item-99' among its 10 items"
    )
    assert len(slate.placements) == 5


def test_an_unknown_candidate_stays_where_the_caller_put_it(
    slot: Slot, request_of: MakeRequest
) -> None:
    own = tuple(ScoredItem(item_id, 1.0) for item_id in ("item-08", "item-77", "item-09"))
    slate = slot.fill(request_of("ada", candidates=own))
    catalog = [place for place in slate.placements if not place.is_generated]
    assert [place.item_id for place in catalog] == ["item-08", "item-77", "item-09"]
    assert [place.probability is None for place in catalog] == [False, True, False]
    assert any(place.is_generated for place in slate.placements)


def test_an_image_below_the_minimum_score_is_made_but_not_placed(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    strict = BlendConstraints(allowed_positions=(0, 1), min_score=0.9999)
    slate = make_slot(replace(ANYWHERE, blending=BlendPolicy(strict))).fill(request_of("ada"))
    assert slate.generation is not None
    assert not any(place.is_generated for place in slate.placements)
    assert "below the minimum of 0.9999" in slate.reason


def test_the_same_request_gives_the_same_slate(slot: Slot, request_of: MakeRequest) -> None:
    first, again = slot.fill(request_of("ada")), slot.fill(request_of("ada"))
    assert first.placements == again.placements


class StaleStore(FakeHistoryStore):
    """Says of every history that it is too old."""

    def recent(self, user_id: str, limit: int) -> History:
        return replace(super().recent(user_id, limit), is_stale=True)


def test_a_stale_history_is_used_and_told_of(
    make_slot: MakeSlot, caplog: pytest.LogCaptureFixture
) -> None:
    stale = make_slot(histories=StaleStore([history("ada", LIKED)]))
    assert stale.fill(SlotRequest("r1", "ada")).generation is not None
    assert "the history for request r1 is stale: written at" in caplog.text
    assert "ada" not in caplog.text
