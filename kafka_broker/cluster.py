"""A Kafka cluster to work with, wherever it comes from, and topics of one's own on it.

In:  `PIGEON_KAFKA=host:port` for a broker that runs; without it one is started.
Out: `Cluster`: its address, and new topics under names nobody else uses.
"""

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from kafka import KafkaAdminClient

from kafka_broker.broker import Broker
from kafka_broker.connection import connect
from kafka_broker.errors import BrokerError

VARIABLE = "PIGEON_KAFKA"
ADDRESSES = re.compile(r"[^\s:,]+:\d+(,[^\s:,]+:\d+)*")


@dataclass(frozen=True)
class Cluster:
    """A Kafka cluster that answers."""

    bootstrap: str  # host:port, as clients take it
    admin: KafkaAdminClient
    topics: list[str] = field(default_factory=list)  # made here

    def new_topic(
        self,
        name: str = "topic",
        *,
        num_partitions: int = 1,
        configs: Mapping[str, str | int] | None = None,
    ) -> str:
        """Make a topic whose name begins with `name` and return its full, unique name."""
        topic = self.unique(name)
        options = {"num_partitions": num_partitions, "configs": dict(configs or {})}
        self.admin.create_topics({topic: options}, wait_for_metadata=True)
        self.topics.append(topic)
        return topic

    def unique(self, name: str) -> str:
        """Return `name` made unique: for topics, consumer groups and transactional ids."""
        return f"{name}-{uuid.uuid4().hex[:12]}"

    def delete_topics(self) -> None:
        """Delete the topics made here."""
        if self.topics:
            self.admin.delete_topics(self.topics, raise_errors=False)  # some may be gone
            self.topics.clear()


@contextmanager
def open_cluster(environment: Mapping[str, str] = os.environ) -> Iterator[Cluster]:
    """Yield the cluster that PIGEON_KAFKA names, or one of our own while the block runs.

    A named cluster keeps nothing of it: the topics made are deleted.
    """
    named = environment.get(VARIABLE)
    if not named:
        with Broker.start() as broker, closing(connect(broker.bootstrap)) as admin:
            yield Cluster(broker.bootstrap, admin)
        return
    with closing(connect_named(named)) as admin:
        cluster = Cluster(named, admin)
        try:
            yield cluster
        finally:
            cluster.delete_topics()


def connect_named(named: str) -> KafkaAdminClient:
    """Connect to what PIGEON_KAFKA names, and say that it was named where that fails."""
    way_out = f"Or unset {VARIABLE}: a broker is then started where one is needed."
    if not ADDRESSES.fullmatch(named):
        raise BrokerError(f"{VARIABLE} must be host:port, got {named!r}. {way_out}")
    try:
        return connect(named)
    except BrokerError as exc:
        raise BrokerError(f"{VARIABLE}={named}: {exc} {way_out}") from exc
