"""The slot composed of fakes: what a slate holds, and what goes wrong without harm."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.ranking.blend import BlendConstraints
from pigeon_recsys.records import (
    LIKE,
    SKIP,
    Generation,
    GenerationTask,
    History,
    RankItem,
    Reference,
    ScoredItem,
    SlotRequest,
    Vectors,
)
from pigeon_recsys.slot import NO_LIKES, UNKNOWN_USER, GenerationSlot, SlotSettings
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeGenerator,
    FakeHistoryStore,
    FakeIndex,
    FakeRanker,
)

LIKED = ("item-01", "item-02", "item-03")


class RecordingGenerator(FakeGenerator):
    """A fake generator that keeps the tasks it was given."""

    def __init__(self, fails_for: Sequence[str] = ()) -> None:
        super().__init__(fails_for=fails_for)
        self.tasks: list[GenerationTask] = []

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        self.tasks += tasks
        return super().generate(tasks)


class GenerousRanker(FakeRanker):
    """Gives every generated item the same high score."""

    def score(self, history: History, items: Sequence[RankItem]) -> Vectors:
        scores = super().score(history, items)
        scores[[item.is_generated for item in items]] = 0.9
        return scores


def history(user_id: str, liked: Sequence[str], skipped: Sequence[str] = ()) -> History:
    item_ids = (*liked, *skipped)
    events = (LIKE,) * len(liked) + (SKIP,) * len(skipped)
    return History(user_id, item_ids, tuple(range(len(item_ids))), events, version=1)


@pytest.fixture
def generator() -> RecordingGenerator:
    return RecordingGenerator(fails_for=["unlucky"])


@pytest.fixture
def slot(generator: RecordingGenerator) -> GenerationSlot:
    catalog = FakeCatalog(num_items=10)
    embedder = FakeEmbedder()
    vectors = embedder.embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    return GenerationSlot(
        histories=FakeHistoryStore(
            [
                history("ada", LIKED, ["item-04"]),
                history("bob", LIKED[:1]),
                history("cleo", [], ["item-04"]),
                history("unlucky", LIKED),
            ]
        ),
        catalog=catalog,
        embedder=embedder,
        index=FakeIndex(catalog.item_ids, vectors),
        generator=generator,
        ranker=GenerousRanker(),
        settings=SlotSettings(constraints=BlendConstraints(allowed_positions=tuple(range(10)))),
    )


def request(user_id: str, **changes: object) -> SlotRequest:
    base = SlotRequest("r1", user_id, Reference("item-07", "cake"), slate_size=5)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_slate_holds_one_generated_item_among_ranked_candidates(slot: GenerationSlot) -> None:
    slate = slot.fill(request("ada"))
    generated = [place for place in slate.placements if place.is_generated]
    assert slate.generation is not None
    assert [place.item_id for place in generated] == [slate.generation.item_id]
    assert len(slate.placements) == 5
    assert [place.position for place in slate.placements] == [0, 1, 2, 3, 4]
    scores = [place.score for place in slate.placements]
    assert scores == sorted(scores, reverse=True)


def test_the_generator_sees_only_liked_images_and_the_reference(
    slot: GenerationSlot, generator: RecordingGenerator
) -> None:
    slot.fill(request("ada", seed=11))
    (task,) = generator.tasks
    assert [image.item_id for image in task.history] == list(LIKED)
    assert task.reference == Reference("item-07", "cake")
    assert (task.reference_pixels == slot.catalog.pixels("item-07")).all()
    assert task.seed == 11


def test_few_likes_mean_fewer_history_images(
    slot: GenerationSlot, generator: RecordingGenerator
) -> None:
    assert slot.fill(request("bob")).generation is not None
    assert [image.item_id for image in generator.tasks[0].history] == ["item-01"]


def test_liked_items_are_not_retrieved_again(slot: GenerationSlot) -> None:
    slate = slot.fill(request("ada", slate_size=10))
    assert not {place.item_id for place in slate.placements} & set(LIKED)


def test_the_requests_own_candidates_are_the_only_catalog_items(slot: GenerationSlot) -> None:
    own = (ScoredItem("item-08", 3.0), ScoredItem("item-09", 2.0))
    slate = slot.fill(request("ada", candidates=own))
    catalog = {place.item_id for place in slate.placements if not place.is_generated}
    assert catalog == {"item-08", "item-09"}


def test_a_reference_retrieves_items_like_it(slot: GenerationSlot) -> None:
    narrow = replace(slot, settings=replace(slot.settings, num_candidates=3))
    slate = narrow.fill(request("ada", slate_size=10))
    vector = slot.index.vectors(["item-07"])[0]
    nearest = [item.item_id for item in slot.index.search(vector, 10)]
    expected = [item_id for item_id in nearest if item_id not in LIKED][:3]
    catalog = [place.item_id for place in slate.placements if not place.is_generated]
    assert sorted(catalog) == sorted(expected)


def test_without_a_reference_the_best_candidate_is_it(
    slot: GenerationSlot, generator: RecordingGenerator
) -> None:
    sure = replace(slot, ranker=FakeRanker({"item-06": 0.999}))
    sure.fill(request("ada", reference=None))
    assert generator.tasks[0].reference.item_id == "item-06"


def test_a_text_alone_is_a_reference(slot: GenerationSlot, generator: RecordingGenerator) -> None:
    slot.fill(request("ada", reference=Reference(text="a happy cake")))
    assert generator.tasks[0].reference_pixels is None


@pytest.mark.parametrize(("user_id", "reason"), [("nobody", UNKNOWN_USER), ("cleo", NO_LIKES)])
def test_nothing_known_gives_a_cold_start_slate(
    slot: GenerationSlot, generator: RecordingGenerator, user_id: str, reason: str
) -> None:
    slate = slot.fill(request(user_id, slate_size=3))
    assert slate.reason == reason
    assert slate.generation is None
    assert generator.tasks == []
    assert [place.item_id for place in slate.placements] == ["item-00", "item-01", "item-02"]


def test_a_cold_start_keeps_the_callers_candidates(slot: GenerationSlot) -> None:
    own = (ScoredItem("item-08", 2.0), ScoredItem("item-09", 3.0))
    slate = slot.fill(request("nobody", candidates=own))
    assert [place.item_id for place in slate.placements] == ["item-09", "item-08"]


def test_a_failed_generation_leaves_the_catalog_slate(slot: GenerationSlot) -> None:
    slate = slot.fill(request("unlucky"))
    assert slate.reason == "no generated item: the fake generator fails for user 'unlucky'"
    assert len(slate.placements) == 5
    assert not any(place.is_generated for place in slate.placements)


def test_an_unknown_reference_leaves_the_catalog_slate(slot: GenerationSlot) -> None:
    slate = slot.fill(request("ada", reference=Reference("item-99")))
    assert (
        slate.reason == "no generated item: the index holds no item 'item-99' among its 10 items."
    )
    assert len(slate.placements) == 5


def test_an_unknown_candidate_is_the_callers_mistake(slot: GenerationSlot) -> None:
    with pytest.raises(UnknownItem, match="the index holds no item 'item-77'"):
        slot.fill(request("ada", candidates=(ScoredItem("item-77", 1.0),)))


def test_an_image_below_the_minimum_score_is_made_but_not_placed(slot: GenerationSlot) -> None:
    strict = BlendConstraints(allowed_positions=(0, 1), min_score=0.9999)
    slate = replace(slot, settings=SlotSettings(constraints=strict)).fill(request("ada"))
    assert slate.generation is not None
    assert not any(place.is_generated for place in slate.placements)
    assert "below the minimum of 0.9999" in slate.reason


def test_the_same_request_gives_the_same_slate(slot: GenerationSlot) -> None:
    first, again = slot.fill(request("ada")), slot.fill(request("ada"))
    assert first.placements == again.placements


class StaleStore(FakeHistoryStore):
    """Says of every history that it is too old."""

    def recent(self, user_id: str, limit: int) -> History:
        return replace(super().recent(user_id, limit), is_stale=True)


def test_a_stale_history_is_used_and_told_of(
    slot: GenerationSlot, caplog: pytest.LogCaptureFixture
) -> None:
    stale = replace(slot, histories=StaleStore([history("ada", LIKED)]))
    assert stale.fill(SlotRequest("r1", "ada")).generation is not None
    assert "the history for request r1 is stale: written at" in caplog.text
    assert "ada" not in caplog.text
