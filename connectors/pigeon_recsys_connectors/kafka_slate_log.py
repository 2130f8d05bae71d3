"""The decision log on Kafka topics: the port `SlateLog`.

In:  batches of entries; behind `BackgroundSlateLog` a batch is a transaction.
Out: records on `decisions`, `exposures`, `outcomes`, and interactions for ingest.

A writer whose transaction failed is thrown away, and the next batch opens another: some failures
leave a producer that can write no more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.record_slate_log import RecordSlateLog
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys_connectors.kafka_writer import KafkaWriter


class KafkaSlateLog:
    """Implements `SlateLog`. One thread at a time uses it."""

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
        self._bootstrap = bootstrap
        self._security = security
        self._topics = topics
        self._codecs = codecs
        self._hash_users = hash_users
        self._log: RecordSlateLog | None = self._opened()

    def write(self, entries: Sequence[SlateEntry]) -> None:
        """Write a batch in one transaction. Raises `LogError` and `EventError`."""
        if self._log is None:
            self._log = self._opened()
        try:
            self._log.write(entries)
        except LogError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _opened(self) -> RecordSlateLog:
        writer = KafkaWriter(self._bootstrap, self._security)
        return RecordSlateLog(writer, self._topics, self._codecs, hash_users=self._hash_users)
