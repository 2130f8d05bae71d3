"""Where the workers of a fault test work: a value that is sent to their processes.

In:  a Kafka cluster, a folder.
Out: topics, a Feast repository, a folder of pictures, and the settings that make faults quick.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kafka_broker.cluster import Cluster
from pigeon_recsys.streaming.breaker import BreakerSettings
from pigeon_recsys.streaming.generate import GenerateSettings
from pigeon_recsys.streaming.job_queue import QueueSettings
from pigeon_recsys.streaming.takeovers import MOST
from pigeon_recsys.streaming.topics import TopicNames, streaming_topics
from pigeon_recsys.streaming.trigger_settings import TriggerSettings
from pigeon_recsys_connectors.kafka_event_log import KafkaEventLog
from pigeon_recsys_connectors.kafka_topics import make_topics

NUM_PARTITIONS = 12
NUM_ITEMS = 120
BATCH = 300  # records: small, so that faults meet many batches
CONSUMER = {
    "session_timeout_ms": 3_000,
    "heartbeat_interval_ms": 300,
    "reconnect_backoff_max_ms": 500,
}
PRODUCER = {
    "transaction_timeout_ms": 3_000,
    "max_block_ms": 10_000,
    "reconnect_backoff_max_ms": 500,
}
ONCE = TriggerSettings(  # an image for a user's likes, and one for each request
    min_new_likes=3, min_drift=1.9, cooldown_s=1e6, daily_images=100_000, daily_gpu_s=1e9
)
QUEUE = QueueSettings(
    batch_size=8,
    max_attempts=2,
    first_wait_s=0.2,
    longest_wait_s=1.0,
    breaker=BreakerSettings(failures=50, wait_s=1.0),
)


@dataclass(frozen=True)
class Plant:
    """Everything that outlives a worker, and how workers work."""

    bootstrap: str
    name: str
    folder: Path
    feast: Path
    topics: TopicNames
    trigger: TriggerSettings = ONCE
    queue: QueueSettings = QUEUE
    picture_s: float = 0.0
    side: int = 8
    timeout_s: float | None = None  # of a generator in a process; None: it is in the worker's
    most_takeovers: int = MOST
    consumer: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def build(cls, kafka: Cluster, folder: Path, store: Path) -> "Plant":
        """Make the topics and copy the empty store."""
        name = kafka.unique("faults")
        fields = (
            "events",
            "histories",
            "requests",
            "generated",
            "state",
            "exposures",
            "decisions",
            "outcomes",
        )
        topics = TopicNames(**{field: f"{name}-{field}" for field in fields})
        kafka.topics.extend(
            make_topics(kafka.bootstrap, streaming_topics(NUM_PARTITIONS, topics), 1)
        )
        plant = cls(kafka.bootstrap, name, folder, folder / "feast", topics)
        shutil.copytree(store, plant.feast)
        for each in (plant.temporary, plant.logs):
            each.mkdir()
        return plant

    @property
    def images(self) -> Path:
        """The store of pictures."""
        return self.folder / "pictures"

    @property
    def journal(self) -> Path:
        """What generators and their workers note."""
        return self.folder / "journal"

    @property
    def broken(self) -> Path:
        """While this file is there, no generator works."""
        return self.folder / "broken"

    @property
    def temporary(self) -> Path:
        """Where temporary files of workers go."""
        return self.folder / "tmp"

    @property
    def logs(self) -> Path:
        """What workers log."""
        return self.folder / "logs"

    @property
    def generate_settings(self) -> GenerateSettings:
        """Those of a generate worker."""
        names = self.topics
        return GenerateSettings(
            self.trigger,
            names.histories,
            names.requests,
            names.generated,
            names.state,
            most_takeovers=self.most_takeovers,
        )

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """The topics that a worker of each role reads."""
        return {"ingest": (self.topics.events,), "generate": self.generate_settings.reads}

    def group(self, role: str) -> str:
        """Return the consumer group of a role."""
        return f"{self.name}-{role}"

    def open_log(self, role: str) -> KafkaEventLog:
        """Join the group of a role."""
        return KafkaEventLog(
            self.bootstrap,
            self.group(role),
            self.reads[role],
            max_polled=BATCH,
            consumer={**CONSUMER, **self.consumer},
            producer=PRODUCER,
        )
