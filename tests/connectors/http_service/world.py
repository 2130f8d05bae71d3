"""A whole slot service over fakes: a user with likes, a stored picture, a generator in threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pigeon_recsys.generation.keeping import PictureKeeper
from pigeon_recsys.generation.ladder import LadderSettings, Rung
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.ports import GeneratedItemStore, HistoryStateStore, ImageStore
from pigeon_recsys.ranking.constraints import BlendConstraints, BlendPolicy
from pigeon_recsys.records import (
    LIKE,
    GeneratedItem,
    GenerationTask,
    History,
    HistoryImage,
    RankContext,
    RankItem,
    Reference,
    Vectors,
)
from pigeon_recsys.service.erasure import Erasure
from pigeon_recsys.service.feedback import Feedback
from pigeon_recsys.service.generation_making import PoolMaking
from pigeon_recsys.service.generations import Generations, Tickets
from pigeon_recsys.service.slot_service import ServiceParts, SlotService
from pigeon_recsys.service.worker_news import Tell
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.recent_slates import RecentSlates
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.making import ItemMaker, Stage
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeGenerator,
    FakeHistoryStateStore,
    FakeIndex,
    FakeRanker,
)

USER, OTHER = "ada", "bob"
LIKED = ("item-01", "item-02", "item-03")
LIKED_MS = 1_735_689_000_000
SETTINGS = SlotSettings(
    deadline_ms=2_000,
    ladder=LadderSettings(rungs=(Rung.STORED,)),
    blending=BlendPolicy(BlendConstraints(allowed_positions=tuple(range(10)), order="as_given")),
)


class GenerousRanker(FakeRanker):
    """Gives every generated item the same high score."""

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        scores = super().score(history, items, context)
        scores[[item.is_generated for item in items]] = 0.9
        return scores


@dataclass
class World:
    """Everything the service is made of."""

    items: GeneratedItemStore = field(default_factory=FakeGeneratedItemStore)
    images: ImageStore = field(default_factory=FakeImageStore)
    histories: HistoryStateStore = field(default_factory=FakeHistoryStateStore)
    catalog: FakeCatalog = field(default_factory=lambda: FakeCatalog(num_items=120))
    generator: FakeGenerator = field(default_factory=FakeGenerator)
    log: FakeSlateLog = field(default_factory=FakeSlateLog)
    settings: SlotSettings = SETTINGS

    def __post_init__(self) -> None:
        self.embedder = FakeEmbedder()
        ids = self.catalog.item_ids
        vectors = self.embedder.embed([self.catalog.pixels(item_id) for item_id in ids])
        self.index = FakeIndex(ids, vectors)

    def like(self, user_id: str, *item_ids: str) -> None:
        """Let a user like items."""
        events = [
            Interacted(user_id, f"e-{item_id}", LIKED_MS + number, item_id, LIKE)
            for number, item_id in enumerate(item_ids)
        ]
        self.histories.join([HistoryState.empty(user_id).merged(events)])

    def draw(self, user_id: str, seed: int = 0) -> GeneratedItem:
        """Make a picture for a user and store it as the workers do."""
        history = self.histories.recent(user_id, 60)
        task = GenerationTask(
            user_id=user_id,
            history=tuple(HistoryImage(i, self.catalog.pixels(i)) for i in history.liked),
            history_hash=history.content_hash,
            reference=Reference("item-07", "cake"),
            reference_pixels=self.catalog.pixels("item-07"),
            seed=seed,
        )
        (made,) = self.generator.generate([task])
        # None of the catalog's plain pictures is near a noisy one; the embedder cannot tell.
        keeper = PictureKeeper(self.embedder, FakeIndex([], self.index.vectors([])), self.images)
        item = keeper.keep(made, made.item_id, "new likes")
        assert not self.items.put([item])
        return item

    def slot(self) -> Slot:
        """Return a slot over the world."""
        parts = SlotParts(
            histories=self.histories,
            catalog=self.catalog,
            embedder=self.embedder,
            index=self.index,
            ranker=GenerousRanker(),
            stored=self.items,
            recent=RecentSlates(),
            log=self.log,
        )
        return Slot(parts, self.settings)

    def generations(self) -> Generations:
        """Return what makes pictures in threads of this process."""
        tickets = Tickets(self.images, JsonGeneratedItems())
        empty = FakeIndex([], self.index.vectors([]))
        stage = Stage(
            self.catalog, self.embedder, empty, self.images, self.items, JsonGeneratedItems()
        )
        maker = ItemMaker(self.generator, stage)
        planner = Planner(self.histories, self.catalog, self.index, self.generator.version)
        return Generations(planner, tickets, PoolMaking([maker], tickets, capacity=64))

    def service(self, tell: Tell = lambda message: None) -> SlotService:
        """Return the whole service, which is to be closed."""
        parts = ServiceParts(
            items=self.items,
            images=self.images,
            generations=self.generations(),
            feedback=Feedback(self.log),
            erasure=Erasure(self.items, self.images, self.histories),
        )
        return SlotService(self.slot(), parts, tell)


def small_world(make: Callable[[], World] = World) -> World:
    """Return a world with two users, each with a stored picture."""
    world = make()
    for number, user_id in enumerate((USER, OTHER)):
        world.like(user_id, *LIKED)
        world.draw(user_id, seed=number)
    return world


def two_workers(open_service: Callable[[Tell], SlotService]) -> list[SlotService]:
    """Open a service twice; each worker hears what the other tells."""
    pair: list[SlotService] = []

    def telling(other: int) -> Tell:
        def tell(message: bytes) -> None:
            pair[other].hear(message)

        return tell

    pair += [open_service(telling(1)), open_service(telling(0))]
    return pair
