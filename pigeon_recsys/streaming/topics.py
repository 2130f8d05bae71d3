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
REQUESTS = "generation-requests"
GENERATED = "generated-items"
STATE = "generation-state"
EXPOSURES = "exposures"
DECISIONS = "decisions"
OUTCOMES = "outcomes"
DAY_MS = 86_400_000
COMPACTED = {"cleanup.policy": "compact"}  # the newest record of every user stays
EVENTS_KEPT_DAYS = 7  # long enough to process a bad day again
LETTERS_KEPT_DAYS = 30
ITEMS_KEPT_DAYS = 90  # from then on, who reads the topic anew does not learn of an item
EXPOSURES_KEPT_DAYS = 30
SLATES_KEPT_DAYS = 30  # decisions and outcomes; `stream archive` copies them


@dataclass(frozen=True)
class Topic:
    """One topic as it is to be made; `configs` in Kafka's own words."""

    name: str
    num_partitions: int
    configs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TopicNames:
    """What the topics are called here."""

    events: str = EVENTS
    histories: str = HISTORIES
    requests: str = REQUESTS
    generated: str = GENERATED
    state: str = STATE
    exposures: str = EXPOSURES
    decisions: str = DECISIONS
    outcomes: str = OUTCOMES


def streaming_topics(num_partitions: int, names: TopicNames) -> list[Topic]:
    """Return all topics that workers read and write."""
    keyed = {
        names.events: _kept(EVENTS_KEPT_DAYS),
        names.histories: COMPACTED,
        names.requests: _kept(EVENTS_KEPT_DAYS),
        names.generated: _kept(ITEMS_KEPT_DAYS),
        names.state: COMPACTED,
        names.exposures: _kept(EXPOSURES_KEPT_DAYS),
        names.decisions: _kept(SLATES_KEPT_DAYS),
        names.outcomes: _kept(SLATES_KEPT_DAYS),
    }
    slates = (names.decisions, names.exposures, names.outcomes)
    read = (names.events, names.histories, names.requests, names.generated, *slates)
    return [
        *(Topic(name, num_partitions, configs) for name, configs in keyed.items()),
        *(Topic(name + SUFFIX, 1, _kept(LETTERS_KEPT_DAYS)) for name in read),
    ]


def _kept(days: int) -> dict[str, str]:
    return {"retention.ms": str(days * DAY_MS)}
