"""The decision log on Kafka topics: the port `SlateLog`.

In:  batches of entries; behind `BackgroundSlateLog` a batch is a transaction.
Out: records on `decisions`, `exposures`, `outcomes`, and interactions for ingest.
"""

from collections.abc import Mapping
from typing import Any

from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.record_slate_log import RecordSlateLog
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys_connectors.kafka_writer import KafkaWriter


class KafkaSlateLog(RecordSlateLog):
    """Implements `SlateLog` with a writer of its own."""

    def __init__(
        self,
        bootstrap: str,
        *,
        security: Mapping[str, Any] | None = None,
        topics: TopicNames | None = None,
        codecs: Codecs | None = None,
        hash_users: bool = False,
    ) -> None:
        """Raises `LogError` when no broker answers, or none lets this client in."""
        writer = KafkaWriter(bootstrap, security)
        super().__init__(writer, topics, codecs, hash_users=hash_users)
