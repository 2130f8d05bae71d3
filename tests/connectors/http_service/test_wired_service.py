"""A service opened from a settings file, from its first slate to the erasure of a user.

Everything is real but the ranker: the catalog, Feast's stores, the files of pictures, the index,
the generator with the shipped weights, the log. `service_wiring` puts it together for two workers.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.generation.generator_process import LadderedGeneratorProcess
from pigeon_recsys.generation.laddered_generator import LadderedPigeon
from pigeon_recsys.generation_slot import GenerationSlot
from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
from pigeon_recsys.records import (
    GENERATED_PREFIX,
    LIKE,
    GeneratedItem,
    History,
    Reference,
    ScoredItem,
    SlotRequest,
)
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.service_wiring import slot_service
from pigeon_recsys.settings_file import read_slot_file
from pigeon_recsys.wiring import INDEX_FOLDER, SHIPPED_WEIGHTS, build_artifacts
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.http_service.app import make_app
from tests.connectors.http_service.conftest import bearer, settings_with_keys
from tests.connectors.http_service.world import GenerousRanker, two_workers

USER, OTHER = "ada", "bob"
CAKE = Reference(text="a happy cake")
NUM_ITEMS, NUM_LIKED = 60, 5
WITHIN_S = 60.0
SETTINGS = """
catalog: data
artifacts: artifacts
histories: {path: store}
items: {path: store}
images: {url: images}
generator: {weights: shipped, ratio_choice: 0.5, steps: 1, own_process: false}
slot: {deadline_ms: 30000, num_candidates: 60}
log: {to: parquet, at: log}
recent_slates: 10
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a settings file and, beside it, all that it names."""
    folder = tmp_path_factory.mktemp("wired")
    generate_world(folder / "data", num_items=NUM_ITEMS, num_users=10, seed=7, size=72)
    catalog = DatasetFolder.open(folder / "data")
    build_artifacts(folder / "artifacts", SHIPPED_WEIGHTS, catalog)
    liked, at_ms = catalog.item_ids[:NUM_LIKED], tuple(range(NUM_LIKED))
    FeastHistoryStore.create(
        folder / "store",
        [History(user, liked, at_ms, (LIKE,) * NUM_LIKED, version=1) for user in (USER, OTHER)],
    )
    (folder / "slot.yaml").write_text(SETTINGS)
    return folder / "slot.yaml"


@dataclass
class Workers:
    """Two workers of one service, and a caller of the first."""

    services: list[SlotService]
    client: TestClient

    def post(self, url: str, **body: object) -> dict[str, object]:
        """Return the answer to a request that is taken."""
        answer = self.client.post(url, json=body)
        assert answer.is_success, answer.text
        told: dict[str, object] = answer.json()
        return told

    def generated(self, user_id: str) -> str:
        """Ask for a picture, wait for it, and return its ticket's URL."""
        ticket = self.post("/v1/generations", user_id=user_id, reference={"text": "a happy cake"})
        url, until = str(ticket["status_url"]), time.monotonic() + WITHIN_S
        while (told := self.client.get(url).json())["status"] in ("queued", "running"):
            assert time.monotonic() < until, told
            time.sleep(0.05)
        assert told["status"] == "done", told
        return url

    def items(self, user_id: str) -> list[GeneratedItem]:
        stored = self.services[0].parts.items
        assert stored is not None
        return stored.of_user(user_id, 50)


@pytest.fixture
def open_workers(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Workers]]:
    monkeypatch.setattr(OnnxRanker, "load", lambda path, index: GenerousRanker())
    opened: list[SlotService] = []

    def open_both() -> Workers:
        pair = two_workers(partial(slot_service, read_slot_file(settings)))
        opened.extend(pair)
        return Workers(pair, TestClient(make_app(pair[0], settings_with_keys()), headers=bearer()))

    yield open_both
    for each in opened:
        each.close()


def follow(settings: Path, items: list[GeneratedItem]) -> None:
    """Add items to the index on disk, as `stream follow` does."""
    folder = settings.parent / "artifacts" / INDEX_FOLDER
    index = FaissIndex.load(folder)
    for item in items:
        index.add([item.item_id], item.embedding[None])
    index.save(folder)


@pytest.mark.slow
def test_from_slates_to_the_erasure_of_a_user(
    settings: Path, open_workers: Callable[[], Workers]
) -> None:
    before = open_workers()
    for user_id in (USER, OTHER):
        before.generated(user_id)
    (mine,), (others,) = before.items(USER), before.items(OTHER)
    follow(settings, [mine, others])

    workers = open_workers()
    ticket_url = workers.generated(USER)
    slate = workers.post("/v1/slates", user_id=USER, request_id="r1", slate_size=60)
    places: list[dict[str, object]] = slate["placements"]  # type: ignore[assignment]
    assert [place["is_generated"] for place in places].count(True) == 1, slate
    for place in places:
        assert place["is_generated"] == str(place["item_id"]).startswith(GENERATED_PREFIX)
    assert others.item_id not in {place["item_id"] for place in places}
    (shown,) = [place for place in places if place["is_generated"]]
    report = {
        "user_id": USER,
        "request_id": "r1",
        "item_id": shown["item_id"],
        "kind": "shown",
        "position": shown["position"],
        "at_ms": time.time_ns() // 1_000_000,
    }
    assert workers.post("/v1/exposures", reports=[report]) == {"taken": 1}
    workers.services[1].fill(SlotRequest("r2", USER))
    for each in workers.services:
        assert each.slot.parts.shown.of(USER)
        assert cached(each) > 0
        assert {mine.item_id, others.item_id} <= index_of(each)

    made = workers.items(USER)
    answer = workers.client.delete(f"/v1/users/{USER}")
    assert answer.status_code == 200, answer.text
    erased = answer.json()["erased"]
    assert (erased["items"], erased["index"]) == (len(made), 1)
    for each in workers.services:
        assert cached(each) == 0
        assert each.slot.parts.shown.of(USER) == ()
        assert not index_of(each) & {item.item_id for item in made}
        assert others.item_id in index_of(each)
    assert workers.client.get(ticket_url).status_code == 404
    for item in made:
        assert workers.client.get(f"/v1/items/{item.item_id}").status_code == 404
        assert workers.client.get(f"/v1/items/{item.item_id}/image").status_code == 404
    assert workers.client.get(f"/v1/items/{others.item_id}/image").status_code == 200
    images = settings.parent / "images"
    left = sorted(path.relative_to(images).parts[0] for path in images.glob("*/*/*"))
    assert left == ["images", "results", "sweeps", "tickets"], "what was made for the other user"
    gone = workers.post("/v1/slates", user_id=USER)
    assert not any(place["is_generated"] for place in gone["placements"])  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_model_that_crashes_takes_no_slate_along(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxRanker, "load", lambda path, index: GenerousRanker())
    path = settings.with_name("own_process.yaml")
    path.write_text(SETTINGS.replace("own_process: false", "own_process: true"))
    offered = DatasetFolder.open(settings.parent / "data").item_ids[-3:]
    candidates = tuple(ScoredItem(item_id, 1.0) for item_id in offered)
    with GenerationSlot.from_settings(path) as slot, ThreadPoolExecutor(1) as caller:
        generator = slot.parts.generator
        assert isinstance(generator, LadderedGeneratorProcess)
        pid = generator.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # in the middle of a picture, for as long as it takes
        filling = caller.submit(slot.fill, SlotRequest("r1", OTHER, candidates=candidates))
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        slate = filling.result(WITHIN_S)
        assert (slate.rung, generator.pid != pid) == ("few_steps", True), "of the next process"
        assert "fresh: the generator's process ended: exit code -9" in slate.reason
        own = [place.item_id for place in slate.placements if not place.is_generated]
        assert tuple(own) == offered
        after = slot.fill(SlotRequest("r2", OTHER, candidates=candidates, reference=CAKE))
        assert after.rung == "fresh", after.reason


def cached(service: SlotService) -> int:
    """Return of how many tasks preference tokens are kept."""
    generator = service.slot.parts.generator
    assert isinstance(generator, LadderedPigeon)
    return generator.cache.counts.entries


def index_of(service: SlotService) -> set[str]:
    index = service.slot.parts.index
    assert isinstance(index, FaissIndex)
    return set(index.item_ids)
