"""A slot composed of fakes, and requests to it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys.ranking.constraints import BlendConstraints, BlendPolicy
from pigeon_recsys.records import (
    LIKE,
    SKIP,
    Generation,
    GenerationTask,
    History,
    RankContext,
    RankItem,
    Reference,
    Slate,
    SlotRequest,
    Vectors,
)
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeGenerator,
    FakeHistoryStore,
    FakeIndex,
    FakeRanker,
)

LIKED = ("item-01", "item-02", "item-03")
ANYWHERE = SlotSettings(
    blending=BlendPolicy(BlendConstraints(allowed_positions=tuple(range(10)), order="as_given"))
)

MakeSlot = Callable[..., Slot]
MakeRequest = Callable[..., SlotRequest]


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

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        scores = super().score(history, items, context)
        scores[[item.is_generated for item in items]] = 0.9
        return scores


def ids(slate: Slate) -> list[str]:
    """Return the ids of a slate from top to bottom."""
    return [place.item_id for place in slate.placements]


def history(user_id: str, liked: Sequence[str], skipped: Sequence[str] = ()) -> History:
    item_ids = (*liked, *skipped)
    events = (LIKE,) * len(liked) + (SKIP,) * len(skipped)
    return History(user_id, item_ids, tuple(range(len(item_ids))), events, version=1)


@pytest.fixture
def generator() -> RecordingGenerator:
    return RecordingGenerator(fails_for=["unlucky"])


@pytest.fixture
def parts(generator: RecordingGenerator) -> SlotParts:
    catalog = FakeCatalog(num_items=10)
    embedder = FakeEmbedder()
    vectors = embedder.embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    histories = [
        history("ada", LIKED, ["item-04"]),
        history("bob", LIKED[:1]),
        history("cleo", [], ["item-04"]),
        history("unlucky", LIKED),
    ]
    return SlotParts(
        histories=FakeHistoryStore(histories),
        catalog=catalog,
        embedder=embedder,
        index=FakeIndex(catalog.item_ids, vectors),
        generator=generator,
        ranker=GenerousRanker(),
    )


@pytest.fixture
def make_slot(parts: SlotParts) -> MakeSlot:
    """Return a slot; keywords change its parts, `settings` its settings."""

    def make(settings: SlotSettings = ANYWHERE, **changes: Any) -> Slot:
        return Slot(replace(parts, **changes), settings)

    return make


@pytest.fixture
def slot(make_slot: MakeSlot) -> Slot:
    return make_slot()


@pytest.fixture
def request_of() -> MakeRequest:
    """Return a request of a user; keywords change it."""

    def make(user_id: str, **changes: Any) -> SlotRequest:
        base = SlotRequest("r1", user_id, Reference("item-07", "cake"), slate_size=5)
        return replace(base, **changes)

    return make
