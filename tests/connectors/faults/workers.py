"""Ingest and generate workers as processes, put together as the commands put them together.

They differ from the commands in the generator, which is a fake, and in quick time-outs.
"""

import faulthandler
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

from pigeon_recsys.generation.generator_process import GeneratorProcess
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.event_log import EventLog
from pigeon_recsys.streaming.generate import GenerationWorker
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.generation_requests import JsonRequests
from pigeon_recsys.streaming.ingest import HistoryIngest, IngestSettings
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.job_pool import JobPool
from pigeon_recsys.streaming.job_queue import JobQueue
from pigeon_recsys.streaming.making import ItemMaker, Stage
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys.streaming.observation import Observer
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.streaming.running import stop_on_signals, work_on_log
from pigeon_recsys.testing.fakes import FAKE_VERSION, FakeCatalog, FakeEmbedder, FakeIndex
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_items import FeastItemStore
from pigeon_recsys_connectors.image_files import ImageFiles
from tests.connectors.faults.generator import Mood
from tests.connectors.faults.journal import Journal, JournaledImages
from tests.connectors.faults.plant import NUM_ITEMS, Plant

Done = TypeVar("Done")
CAPACITY = 32  # jobs of a worker


def ingest(pipe: Connection, plant: Plant) -> None:
    """Work until told to stop."""
    settings = IngestSettings(changelog=plant.topics.histories, poll_s=0.2, longest_wait_s=1.0)
    reader = MessageReader(JsonEvents())
    with on_duty(pipe, plant, "ingest") as stop:
        store = FeastHistoryStore.open(plant.feast)

        def worker(log: EventLog) -> Callable[[], object]:
            step = HistoryIngest(log, store, reader, settings, Teller(pipe)).step
            return telling(pipe, log, step)

        for _ in work_on_log(lambda: plant.open_log("ingest"), worker, stop):
            pass


def generate(pipe: Connection, plant: Plant) -> None:
    """Work until told to stop."""
    codecs, settings = Codecs(JsonRequests(), JsonGeneratedItems()), plant.generate_settings
    with on_duty(pipe, plant, "generate") as stop:
        stage = make_stage(plant)
        histories = FeastHistoryStore.open(plant.feast)
        planner = Planner(histories, stage.catalog, stage.index, FAKE_VERSION)
        pool = JobPool(JobQueue(plant.queue), [make_maker(plant, stage)], CAPACITY)

        def worker(log: EventLog) -> Callable[[], object]:
            step = GenerationWorker(log, planner, pool, codecs, settings, Teller(pipe)).step
            return telling(pipe, log, step)

        try:
            for _ in work_on_log(lambda: plant.open_log("generate"), worker, stop):
                pass
        finally:
            pool.close()


def make_stage(plant: Plant) -> Stage:
    """Return a catalog of fakes before stores that are real."""
    catalog, embedder = FakeCatalog(NUM_ITEMS), FakeEmbedder()
    pictures = [catalog.pixels(item_id) for item_id in catalog.item_ids]
    index = FakeIndex(catalog.item_ids, embedder.embed(pictures))
    images = ImageFiles.open(str(plant.images))
    journaled = JournaledImages(images, Journal(plant.journal), os.getpid())
    items = FeastItemStore.open(plant.feast)
    return Stage(catalog, embedder, index, journaled, items, JsonGeneratedItems())


def make_maker(plant: Plant, stage: Stage) -> ItemMaker:
    """Return what makes pictures, in a process where a time-out is set."""
    mood = Mood(plant.journal, os.getpid(), plant.picture_s, plant.side, plant.broken)
    if plant.timeout_s is None:
        return ItemMaker(mood.generator(), stage)
    process = GeneratorProcess(mood.generator, plant.timeout_s)
    return ItemMaker(process, stage, process.close)


class Teller(Observer):
    """Tells the test when the breaker opens and closes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._is_open = False

    def breaker(self, is_open: bool) -> None:
        """Tell each change."""
        if is_open != self._is_open:
            self._is_open = is_open
            self._pipe.send("breaker open" if is_open else "breaker closed")


def telling(pipe: Connection, log: EventLog, step: Callable[[], Done]) -> Callable[[], Done]:
    """Return a step that also tells the test how many partitions its worker has."""
    told = -1

    logging.info("has joined its group")

    def step_and_tell() -> Done:
        nonlocal told
        done = step()
        if (held := len(log.held())) != told:
            told = held
            pipe.send(held)
        return done

    return step_and_tell


@contextmanager
def on_duty(pipe: Connection, plant: Plant, role: str) -> Iterator[threading.Event]:
    """Log to a file, end with the test that started this process, and yield what SIGTERM sets."""
    log = (plant.logs / f"{role}-{os.getpid()}.log").open("a")
    os.dup2(log.fileno(), 2)
    logging.basicConfig(
        stream=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for library in ("faiss", "feast", "kafka"):
        logging.getLogger(library).setLevel(logging.WARNING)
    faulthandler.register(signal.SIGUSR1, log)  # where does it hang?
    tempfile.tempdir = os.environ["TMPDIR"] = str(plant.temporary)
    threading.Thread(target=end_with, args=[pipe], daemon=True).start()
    logging.info("begins")
    with stop_on_signals() as stop:
        yield stop
    logging.info("has stopped")


def end_with(pipe: Connection) -> None:
    """End this process once the other end of the pipe is gone."""
    try:
        while True:
            pipe.recv()
    except (EOFError, OSError):
        os._exit(1)


ROLES: dict[str, Callable[[Connection, Plant], None]] = {"ingest": ingest, "generate": generate}
