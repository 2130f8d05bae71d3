"""A producer of events and requests that goes on while its broker is away."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaProducer

from pigeon_recsys.streaming.event_log import NewRecord

SEND_TIMEOUT_S = 60.0


class Sender:
    """Sends each record exactly once, in order within each partition."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self._sent: list[Any] = []

    @classmethod
    @contextmanager
    def to(cls, bootstrap: str) -> "Iterator[Sender]":
        """Yield a sender; what it has not sent is sent at the end."""
        producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            reconnect_backoff_max_ms=500,
            linger_ms=5,
        )
        try:
            yield cls(producer)
        finally:
            producer.close(timeout=SEND_TIMEOUT_S)

    def begin(self, records: Sequence[NewRecord]) -> None:
        """Begin to send records."""
        self._sent += [
            self._producer.send(each.topic, key=each.key, value=each.value) for each in records
        ]

    def finish(self) -> None:
        """Wait until all records are sent."""
        for future in self._sent:
            future.get(timeout=SEND_TIMEOUT_S)
        self._sent.clear()

    def send(self, records: Sequence[NewRecord]) -> None:
        """Send records and wait until they are."""
        self.begin(records)
        self.finish()
