"""The topics of streaming: names, partitions, how long their records are kept.

Events and the histories made from them have as many partitions, and a history lies in the
partition of its events. That number bounds how many workers can share the work, and raising it
later moves users between partitions: choose it once, generously.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pigeon_recsys.streaming.dead_letters import SUFFIX

EVENTS = "interactions"
HISTORIES = "histories"
DAY_MS = 86_400_000
EVENTS_KEPT_DAYS = 7  # long enough to process a bad day again
LETTERS_KEPT_DAYS = 30


@dataclass(frozen=True)
class Topic:
    """One topic as it is to be made; `configs` in Kafka's own words."""

    name: str
    num_partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)


def ingest_topics(
    num_partitions: int, events: str = EVENTS, histories: str = HISTORIES
) -> list[Topic]:
    """Return the topics that ingest reads and writes."""
    return [
        Topic(events, num_partitions, {"retention.ms": str(EVENTS_KEPT_DAYS * DAY_MS)}),
        Topic(events + SUFFIX, 1, {"retention.ms": str(LETTERS_KEPT_DAYS * DAY_MS)}),
        Topic(histories, num_partitions, {"cleanup.policy": "compact"}),
    ]
