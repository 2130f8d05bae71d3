"""The demo: the whole way of the data on one machine, timed stage by stage.

In:  a dataset folder (or none: a sticker world is drawn), an output folder.
Out: `report.json` and `index.html`, beside the artifacts of every stage.
"""

import logging
import platform
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pigeon_recsys import software
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import users_in
from pigeon_recsys.demo.page import write_page
from pigeon_recsys.demo.report import DemoReport, StageTiming, write_report
from pigeon_recsys.demo.slot_file import FEATURE_REPO, write_slot_file
from pigeon_recsys.demo.story import UserStory, tell_story
from pigeon_recsys.demo.streamed import DemoStream, StreamedImage
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.files import check_writable_folder
from pigeon_recsys.generation_slot import GenerationSlot
from pigeon_recsys.progress import track
from pigeon_recsys.records import Reference, Slate, SlotRequest
from pigeon_recsys.wiring import (
    INDEX_FOLDER,
    RANKER_FILE,
    SHIPPED_WEIGHTS,
    build_artifacts,
    history_store_type,
)

logger = logging.getLogger(__name__)

WORLD_ITEMS = 1200
WORLD_USERS = 400  # the ranker learns from all of them; `num_users` of them get a slate
WORLD_SEED = 7  # no shipped weight was trained on this world
STORIES = 8  # users shown in full on the page, a cold-start user beside them
NEW_USER = "somebody-new"


@dataclass(frozen=True)
class DemoSettings:
    """What to run the demo on."""

    out: Path
    data: Path | None = None  # a dataset folder; a sticker world when None
    weights: Path | None = None  # a trained run; the shipped weights, or a training, when None
    kafka: str | None = None  # brokers; histories then come from events, and images on request
    num_users: int = 40
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_users < 1:
            raise SettingsError(f"users must be at least 1, got {self.num_users}")


@dataclass
class Stopwatch:
    """Seconds per stage, in the order they ran."""

    timings: list[StageTiming] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block."""
        logger.info("%s …", name)
        started = time.monotonic()
        yield
        self.timings.append(StageTiming(name, round(time.monotonic() - started, 2)))


def run_demo(settings: DemoSettings) -> DemoReport:
    """Run every stage and write the report and the page."""
    check_writable_folder(settings.out)
    watch = Stopwatch()
    with watch.stage("dataset"):
        dataset = _dataset(settings)
    with watch.stage("weights"):
        weights = _weights(settings, dataset)
    stream = DemoStream.on(settings.kafka, settings.out) if settings.kafka else None
    _store_histories(settings, dataset, stream, watch)
    with watch.stage("image embeddings and FAISS index"):
        build_artifacts(settings.out, weights, dataset)
    with watch.stage("ranker: TorchRec to ONNX"):
        _build_ranker(settings, dataset)
    is_shipped = weights == SHIPPED_WEIGHTS
    file = write_slot_file(settings.out, dataset.path, None if is_shipped else weights)
    with watch.stage("load"):
        slot = GenerationSlot.from_settings(file)
    with slot, watch.stage("slates with generated images"):
        slates = _fill_slates(settings, dataset, slot)
    streamed: tuple[StreamedImage, ...] = ()
    if stream is not None:
        asked = _asked(slates)
        with watch.stage("images on request through Kafka"):
            streamed = stream.make_images(dataset, settings.out, weights, asked)
    report = _report(settings, dataset, slot, slates, streamed, watch)
    write_report(report, settings.out / "report.json")
    write_page(report, settings.out / "index.html")
    return report


def _store_histories(
    settings: DemoSettings, dataset: DatasetFolder, stream: DemoStream | None, watch: Stopwatch
) -> None:
    """Store the histories in Feast, written as tables or made of events."""
    store, folder = history_store_type("feast"), settings.out / FEATURE_REPO
    if stream is None:
        with watch.stage("histories into Feast"):
            store.create(folder, dataset.histories())
        return
    store.create(folder, [])
    with watch.stage("events through Kafka into Feast"):
        stream.send_histories(dataset)


def _asked(slates: Sequence[Slate]) -> list[tuple[str, Reference]]:
    """Return what the stream is asked for: what the first slates were."""
    made = [slate.generation.provenance for slate in slates if slate.generation]
    return [(each.user_id, each.reference) for each in made[:STORIES]]


def _dataset(settings: DemoSettings) -> DatasetFolder:
    if settings.data is not None:
        return DatasetFolder.open(settings.data)
    from pigeon_recsys.datasets.world import generate_world

    folder = settings.out / "data"
    generate_world(folder, num_items=WORLD_ITEMS, num_users=WORLD_USERS, seed=WORLD_SEED)
    return DatasetFolder.open(folder)


def _weights(settings: DemoSettings, dataset: DatasetFolder) -> Path:
    """Return the weights to use; train some for a dataset that none were made for."""
    if settings.weights is not None:
        return settings.weights
    if settings.data is None:
        return SHIPPED_WEIGHTS
    from pigeon_recsys.alignment.recipe import load_recipe
    from pigeon_recsys.alignment.stages import run_all

    run = settings.out.parent / "models" / f"{dataset.name}-{dataset.fingerprint[:8]}"
    run_all(load_recipe(f"quick-{dataset.task}"), dataset, run)
    return run


def _build_ranker(settings: DemoSettings, dataset: DatasetFolder) -> None:
    from pigeon_recsys.ranking.export import export_ranker
    from pigeon_recsys.ranking.settings import RankerSettings
    from pigeon_recsys.ranking.train import train_ranker
    from pigeon_recsys.retrieval.faiss_index import FaissIndex

    run = settings.out / "ranker"
    index = FaissIndex.load(settings.out / INDEX_FOLDER)
    train_ranker(dataset, index, run, RankerSettings(seed=settings.seed))
    export_ranker(run, settings.out / RANKER_FILE)


def _fill_slates(
    settings: DemoSettings,
    dataset: DatasetFolder,
    slot: GenerationSlot,
) -> list[Slate]:
    """Return a slate for each user, and one for a user nobody has seen."""
    users = _demo_users(dataset, settings.num_users)
    references = _references(dataset, len(users))
    requests = [
        SlotRequest(f"demo-{i}", user_id, reference, seed=settings.seed + i)
        for i, (user_id, reference) in enumerate(zip(users, references, strict=True))
    ]
    requests.append(SlotRequest(f"demo-{len(requests)}", NEW_USER))
    return [slot.fill(request) for request in track(requests, "fill slates")]


def _demo_users(dataset: DatasetFolder, count: int) -> list[str]:
    """Return users with likes, those of the test split first."""
    likers = [user for user in dataset.user_ids if dataset.history(user).liked]
    held_out = users_in(likers, "test")
    return [*held_out, *(user for user in likers if user not in set(held_out))][:count]


def _references(dataset: DatasetFolder, count: int) -> list[Reference]:
    """Return what each user is asked to be drawn: items spread evenly over the catalog."""
    step = max(1, len(dataset.item_ids) // max(1, count))
    chosen = dataset.item_ids[::step][:count]
    chosen += (chosen[-1],) * (count - len(chosen))
    return [Reference(item_id, dataset.item(item_id).instruction) for item_id in chosen]


def _report(
    settings: DemoSettings,
    dataset: DatasetFolder,
    slot: GenerationSlot,
    slates: Sequence[Slate],
    streamed: tuple[StreamedImage, ...],
    watch: Stopwatch,
) -> DemoReport:
    made = [slate.generation for slate in slates if slate.generation]
    placed = sum(place.is_generated for slate in slates for place in slate.placements)
    return DemoReport(
        dataset=dataset.name,
        task=dataset.task,
        num_items=len(dataset.item_ids),
        num_users=len(dataset.user_ids),
        settings={"users": settings.num_users, "seed": settings.seed},
        timings=tuple(watch.timings),
        counts={
            "slates": len(slates),
            "images made": sum(len(generation.sweep) for generation in made),
            "generated items placed": placed,
            **({"images on request": len(streamed)} if settings.kafka else {}),
        },
        peak_memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        versions={name: found or "not installed" for name, found in software.versions().items()},
        weights_version=made[0].provenance.weights_version if made else "none used",
        hardware=f"{platform.machine()}, {platform.system()}",
        commit=software.commit(),
        created_ms=time.time_ns() // 1_000_000,
        users=_stories(dataset, slates),
        streamed=streamed,
    )


def _stories(dataset: DatasetFolder, slates: Sequence[Slate]) -> tuple[UserStory, ...]:
    shown = [*slates[:-1][:STORIES], slates[-1]]
    return tuple(tell_story(slate, dataset) for slate in shown)
