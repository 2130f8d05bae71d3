"""What `http_load` serves and asks for: a slot over fakes, or the slot of a settings file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pigeon_recsys.generation.ladder import LadderSettings, Rung
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import (
    LIKE,
    GeneratedItem,
    GenerationTask,
    History,
    RankContext,
    RankItem,
    Reference,
    Vectors,
)
from pigeon_recsys.service.slot_service import ServiceParts, SlotService
from pigeon_recsys.service.worker_news import Tell
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys.testing.fakes import (
    FakeCatalog,
    FakeEmbedder,
    FakeGenerator,
    FakeHistoryStateStore,
    FakeIndex,
)

NUM_USERS, NUM_ITEMS, NUM_LIKES = 200, 1_000, 20
DEADLINE_MS = 1_000.0


@dataclass(frozen=True)
class Sample:
    """Whom and what requests are about."""

    user_ids: Sequence[str]
    item_ids: Sequence[str]


class QuickRanker:
    """Scores by position, generated items highest: next to no work."""

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        """Return a probability for each item."""
        scores = np.linspace(0.6, 0.1, len(items), dtype=np.float32)
        scores[[item.is_generated for item in items]] = 0.9
        return scores


def sample_of_fakes() -> Sample:
    """Return the users and items of `open_fakes`."""
    users = [f"user-{number:03d}" for number in range(NUM_USERS)]
    return Sample(users, FakeCatalog(NUM_ITEMS).item_ids)


def sample_of_settings(path: Path) -> Sample:
    """Return the items of the catalog that a settings file names, and users who have pictures."""
    from pigeon_recsys.datasets.folder import DatasetFolder
    from pigeon_recsys.settings_file import read_slot_file
    from pigeon_recsys.wiring import connector

    file = read_slot_file(path)
    catalog = DatasetFolder.open(file.place(file.parts.catalog))
    assert file.parts.items is not None, f"{path} names no store of items"
    stored = connector("item_stores", file.parts.items.kind).open(file.place(file.parts.items.path))
    users = [user_id for user_id in catalog.user_ids if stored.of_user(user_id, 1)]
    assert users, "nobody has a picture in the store: run the demo first"
    return Sample(users[:NUM_USERS], catalog.item_ids)


def open_fakes(tell: Tell) -> SlotService:
    """Open a service over fakes, with a history and a stored picture for each user."""
    sample, catalog, embedder = sample_of_fakes(), FakeCatalog(NUM_ITEMS), FakeEmbedder()
    vectors = embedder.embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    histories, items = FakeHistoryStateStore(), FakeGeneratedItemStore()
    histories.join(_history(user_id) for user_id in sample.user_ids)
    items.put(_picture(user_id, number, embedder) for number, user_id in enumerate(sample.user_ids))
    parts = SlotParts(
        histories=histories,
        catalog=catalog,
        embedder=embedder,
        index=FakeIndex(catalog.item_ids, vectors),
        ranker=QuickRanker(),
        stored=items,
    )
    settings = SlotSettings(deadline_ms=DEADLINE_MS, ladder=LadderSettings(rungs=(Rung.STORED,)))
    return SlotService(Slot(parts, settings), ServiceParts(items, FakeImageStore()), tell)


def open_logged(settings: Path, log_folder: Path, tell: Tell) -> SlotService:
    """Open the service of a settings file as `serve` does, its decisions logged to a folder."""
    from pigeon_recsys.service_wiring import slot_service
    from pigeon_recsys.settings_file import LogFile, read_slot_file

    file = read_slot_file(settings)
    log = LogFile(to="parquet", at=str(log_folder.absolute()))
    return slot_service(replace(file, parts=file.parts.model_copy(update={"log": log})), tell)


def _history(user_id: str) -> HistoryState:
    likes = [
        Interacted(user_id, f"e{number}", number, f"item-{number:02d}", LIKE)
        for number in range(NUM_LIKES)
    ]
    return HistoryState.empty(user_id).merged(likes)


def _picture(user_id: str, seed: int, embedder: FakeEmbedder) -> GeneratedItem:
    reference = Reference(text="a cake")
    task = GenerationTask(user_id, (), "none", reference, None, seed)
    (made,) = FakeGenerator().generate([task])
    (vector,) = embedder.embed([made.pixels])
    return GeneratedItem(made.item_id, "fake://", vector, made.item_id, "load", made.provenance)
