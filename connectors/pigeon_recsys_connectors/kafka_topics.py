"""The topics that streaming uses, made on a Kafka cluster where they are missing.

In:  broker addresses, the topics and their settings.
Out: which of them were made; those that exist stay as they are.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from pigeon_recsys.errors import LogError, MissingExtra
from pigeon_recsys.streaming.topics import Topic

try:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    from pigeon_recsys_connectors.kafka_admission import check_admitted
except ModuleNotFoundError as exc:
    raise MissingExtra("kafka", needed_for="Kafka topics", library="kafka-python") from exc


def make_topics(
    bootstrap: str,
    topics: Sequence[Topic],
    replication: int,
    security: Mapping[str, Any] | None = None,
) -> list[str]:
    """Make the topics that do not exist and return their names. Raises `LogError`."""
    check_admitted(bootstrap, security)
    try:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap, **(security or {}))) as admin:
            existing = set(admin.list_topics())
            missing = {
                topic.name: {
                    "num_partitions": topic.num_partitions,
                    "replication_factor": replication,
                    "configs": dict(topic.configs),
                }
                for topic in topics
                if topic.name not in existing
            }
            if missing:
                admin.create_topics(missing, wait_for_metadata=True)
    except KafkaError as exc:
        raise LogError(f"making topics on {bootstrap} failed: {exc!r}") from exc
    return list(missing)
