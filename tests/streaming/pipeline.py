"""A generate worker over fakes, whose pool has no threads: a test makes the jobs itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pigeon_recsys.history.events import HistoryEvent, Interacted
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.ports import ImageGenerator
from pigeon_recsys.records import LIKE, GeneratedItem, Generation, GenerationTask, Reference
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generate import GenerateSettings, GenerationWorker, Step
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.job_pool import JobPool
from pigeon_recsys.streaming.job_queue import JobQueue, QueueSettings
from pigeon_recsys.streaming.making import ItemMaker, Stage
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.streaming.trigger import DAY_MS
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeGenerator,
    FakeHistoryStateStore,
    FakeIndex,
)

NOON = 20_000 * DAY_MS + DAY_MS // 2
SETTINGS = GenerateSettings(TriggerSettings(min_new_likes=3, min_drift=0.9, cooldown_s=60))
HISTORIES, REQUESTS = SETTINGS.reads
LETTERS = REQUESTS + SUFFIX
NUM_PARTITIONS = 2
KEYED = (HISTORIES, REQUESTS, SETTINGS.generated, SETTINGS.state)


class CountingGenerator(FakeGenerator):
    """Notes whatever it was asked to make."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, str, str | None, int]] = []
        self.batches: list[int] = []

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        self.batches.append(len(tasks))
        made = super().generate(tasks)
        self.made += [(t.user_id, t.history_hash, t.reference.item_id, t.seed) for t in tasks]
        return made


@dataclass
class World:
    """Everything that outlives a worker."""

    catalog: FakeCatalog = field(default_factory=lambda: FakeCatalog(num_items=12))
    histories: FakeHistoryStateStore = field(default_factory=FakeHistoryStateStore)
    images: FakeImageStore = field(default_factory=FakeImageStore)
    items: FakeGeneratedItemStore = field(default_factory=FakeGeneratedItemStore)
    generator: CountingGenerator = field(default_factory=CountingGenerator)
    codecs: Codecs = field(default_factory=Codecs)
    now_ms: int = NOON

    def __post_init__(self) -> None:
        counts = dict.fromkeys(KEYED, NUM_PARTITIONS)
        self.topics = FakeTopics({**counts, LETTERS: 1, HISTORIES + SUFFIX: 1})
        embedder = FakeEmbedder()
        pictures = [self.catalog.pixels(item_id) for item_id in self.catalog.item_ids]
        self.index = FakeIndex(self.catalog.item_ids, embedder.embed(pictures))
        self.stage = Stage(
            self.catalog, embedder, self.index, self.images, self.items, self.codecs.items
        )

    def learn(self, user_id: str, *events: HistoryEvent) -> None:
        """Do what ingest does with events: the store first, then the changelog."""
        self.tell(self.keep(user_id, *events))

    def keep(self, user_id: str, *events: HistoryEvent) -> HistoryState:
        """Let the store know events, and no worker yet; return what the changelog will say."""
        return self.histories.join([HistoryState.empty(user_id).merged(events)]).states[user_id]

    def tell(self, state: HistoryState) -> None:
        """Write a history to the changelog."""
        self.topics.write([NewRecord(HISTORIES, state.user_id.encode(), state.to_bytes())])

    def likes(self, user_id: str, *numbers: int) -> None:
        """Let a user like items by number."""
        self.learn(user_id, *(like(user_id, number) for number in numbers))

    def ask(self, user_id: str, request_id: str, item_id: str | None, text: str = "") -> None:
        """Ask for an image of an item, or of what a text says."""
        reference = Reference(item_id, text)
        request = GenerationRequest(user_id, request_id, self.now_ms, reference)
        self.write_request(user_id.encode(), self.codecs.requests.encode(request))

    def write_request(self, key: bytes, value: bytes) -> None:
        """Write any record to the topic of requests."""
        self.topics.write([NewRecord(REQUESTS, key, value)])

    def published(self) -> list[GeneratedItem]:
        """Return all items on their topic."""
        records = self.topics.records(SETTINGS.generated)
        return [self.codecs.items.decode(record.value or b"") for record in records]

    def letters(self, topic: str = LETTERS) -> list[tuple[str, bytes]]:
        """Return reason and value of all dead letters."""
        return [
            (dict(record.headers)["reason"].decode(), record.value or b"")
            for record in self.topics.records(topic)
        ]


def like(user_id: str, number: int) -> Interacted:
    """Return a user's like of an item."""
    return Interacted(user_id, f"e{number}", NOON - 10_000 + number, f"item-{number:02d}", LIKE)


class Worker:
    """A worker and the pool whose jobs are made when a test says so."""

    def __init__(
        self,
        world: World,
        log: FakeEventLog | None = None,
        generator: ImageGenerator | None = None,
        capacity: int = 8,
    ) -> None:
        self.world = world
        self.queue = JobQueue(QueueSettings(max_attempts=2))
        self.maker = ItemMaker(generator or world.generator, world.stage)
        self.log = log or FakeEventLog(world.topics, SETTINGS.reads)
        planner = Planner(world.histories, world.catalog, world.index, "fake-1")
        self.worker = GenerationWorker(
            self.log,
            planner,
            JobPool(self.queue, [], capacity, now_s=self.now_s),
            world.codecs,
            SETTINGS,
            now_ms=lambda: world.now_ms,
        )

    def now_s(self) -> float:
        return self.world.now_ms / 1000

    def step(self) -> Step:
        return self.worker.step()

    def make(self) -> int:
        """Make the batch that is next."""
        batch = self.queue.take(self.now_s())
        if batch:
            self.queue.finish(batch, self.maker.make(batch), self.now_s())
        return len(batch)

    def ends_by(self, user_id: str) -> bool:
        """Step and make until a batch has a job of this user; False where none comes."""
        for _ in range(20):
            self.step()
            batch = self.queue.take(self.now_s())
            if user_id in {each.job.user_id for each in batch}:
                return True
            self.queue.finish(batch, self.maker.make(batch), self.now_s())
        return False

    def run(self) -> None:
        """Step and make until nothing is left to do now."""
        for _ in range(200):
            step, num_made = self.step(), self.make()
            if not step and not num_made:
                return
            if not num_made:
                self.world.now_ms += 1_000  # a job waits for its next try
        raise AssertionError("there is no end to it")
