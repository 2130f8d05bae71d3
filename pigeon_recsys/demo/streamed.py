"""The demo with events that really flow: a producer, a broker, and both kinds of workers.

In:  a dataset, the address of a broker.
Out: histories in Feast, which `stream ingest` made of events; images, which `stream generate` made
     on request, found through the topic that names them.

The workers are the commands themselves, in processes of their own. The topics are new at each run,
so that a broker may be used for other things too.
"""

import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pictures import decode_picture
from pigeon_recsys.demo.slot_file import FEATURE_REPO, IMAGES
from pigeon_recsys.errors import PigeonError
from pigeon_recsys.generation.image_names import picture_name
from pigeon_recsys.history.from_interactions import event_of
from pigeon_recsys.records import GeneratedItem, Pixels, Reference
from pigeon_recsys.streaming.event_log import EventLog, NewRecord, RecordWriter
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.generation_requests import GenerationRequest, JsonRequests
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.sending import event_record, request_record
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys.wiring import connector

NUM_PARTITIONS = 4
BATCH = 1000  # events a transaction
IDLE_S = 3.0  # a worker ends when nothing has come for so long
ON_REQUEST_ONLY = 10**9  # likes; every user of the demo has enough for an image by any other number


@dataclass(frozen=True, slots=True)
class StreamedImage:
    """An image that came out of the stream."""

    user_id: str
    item_id: str
    title: str  # of what was asked for
    reason: str
    pixels: Pixels
    waited_s: float  # from the request to the finished picture


@dataclass(frozen=True)
class DemoStream:
    """One run on a broker; `out` holds the feature repository and gets the images."""

    bootstrap: str
    out: Path
    names: TopicNames

    @classmethod
    def on(cls, bootstrap: str, out: Path) -> "DemoStream":
        """Return a run with topics of its own."""
        run = uuid.uuid4().hex[:8]
        topics = {each.name: f"demo-{run}-{each.name}" for each in fields(TopicNames)}
        return cls(bootstrap, out, TopicNames(**topics))

    def send_histories(self, dataset: DatasetFolder) -> None:
        """Send all interactions as events, and let `stream ingest` turn them into histories."""
        topics = [each.name for each in fields(TopicNames)]
        self._command("topics", *self._named(*topics), "--partitions", str(NUM_PARTITIONS))
        events = map(event_of, dataset.interactions)
        self._send([event_record(self.names.events, event, JsonEvents()) for event in events])
        store = str(self.out / FEATURE_REPO)
        self._worker("ingest", "--store", store, *self._named("events", "histories"))

    def make_images(
        self,
        dataset: DatasetFolder,
        artifacts: Path,
        weights: Path,
        asked: Sequence[tuple[str, Reference]],
    ) -> tuple[StreamedImage, ...]:
        """Ask for an image for each user, let `stream generate` work, and return what it made."""
        asked_ms = time.time_ns() // 1_000_000
        self._send(
            [
                request_record(
                    self.names.requests,
                    GenerationRequest(user_id, f"demo-{number}", asked_ms, reference),
                    JsonRequests(),
                )
                for number, (user_id, reference) in enumerate(asked)
            ]
        )
        self._worker(
            "generate", "--store", str(self.out / FEATURE_REPO), "--data", str(dataset.path),
            "--artifacts", str(artifacts), "--weights", str(weights),
            "--images", str(self.out / IMAGES), "--min-new-likes", str(ON_REQUEST_ONLY),
            *self._named("histories", "requests", "generated", "state"),
        )  # fmt: skip
        return tuple(self._told(item, dataset, asked_ms) for item in self._published())

    def _published(self) -> list[GeneratedItem]:
        """Return the items on their topic."""
        group = f"{self.names.generated}-readers"
        log: EventLog = connector("event_logs", "kafka")(
            self.bootstrap, group, [self.names.generated]
        )
        with closing(log):
            found = list(log.contents(self.names.generated, range(NUM_PARTITIONS)))
        return [JsonGeneratedItems().decode(record.value or b"") for record in found]

    def _told(self, item: GeneratedItem, dataset: DatasetFolder, asked_ms: int) -> StreamedImage:
        made = item.provenance
        reference = made.reference
        title = dataset.item(reference.item_id).title if reference.item_id else reference.text
        pixels = decode_picture(self.out / IMAGES / picture_name(made.content_hash))
        waited_s = (made.created_ms - asked_ms) / 1000
        return StreamedImage(
            made.user_id, item.item_id, title, item.reason, pixels, round(waited_s, 2)
        )

    def _send(self, records: Sequence[NewRecord]) -> None:
        writer: RecordWriter = connector("record_writers", "kafka")(self.bootstrap)
        with closing(writer):
            waiting = iter(records)
            while batch := list(islice(waiting, BATCH)):
                writer.write(batch)

    def _named(self, *topics: str) -> list[str]:
        return [part for name in topics for part in (f"--{name}", getattr(self.names, name))]

    def _worker(self, name: str, *arguments: str) -> None:
        """Run a worker until nothing comes any more."""
        group = f"{self.names.state}-{name}"
        self._command(name, *arguments, "--group", group, "--until-idle", str(IDLE_S))

    def _command(self, name: str, *arguments: str) -> None:
        """Run a command of `pigeon-recsys stream`."""
        command = [sys.executable, "-m", "pigeon_recsys.cli", "stream", name, *arguments]
        done = subprocess.run(
            [*command, "--kafka", self.bootstrap], capture_output=True, text=True, check=False
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["it said nothing"]
            raise PigeonError(f"`stream {name}` failed: {lines[-1]}")
