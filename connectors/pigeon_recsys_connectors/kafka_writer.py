"""Writing records to Kafka without reading any: what a producer of events needs.

In:  broker addresses, records.
Out: the records, written in one transaction.
"""

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pigeon_recsys.errors import LogError, MissingExtra
from pigeon_recsys.streaming.event_log import NewRecord

try:
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    from pigeon_recsys_connectors.kafka_admission import check_admitted
except ModuleNotFoundError as exc:
    raise MissingExtra("kafka", needed_for="writing to Kafka", library="kafka-python") from exc

SEND_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 3.0


class KafkaWriter:
    """Implements `RecordWriter`. One thread uses it."""

    def __init__(self, bootstrap: str, security: Mapping[str, Any] | None = None) -> None:
        """Raises `LogError` when no broker answers, or none lets this client in."""
        check_admitted(bootstrap, security)
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap,
                transactional_id=f"writer-{uuid.uuid4().hex}",
                **(security or {}),
            )
            self._producer.init_transactions()
        except KafkaError as exc:
            raise LogError(f"no Kafka broker answers at {bootstrap}: {exc!r}") from exc

    def write(self, new: Sequence[NewRecord]) -> None:
        """Write all records, in order within each key, or none."""
        try:
            self._producer.begin_transaction()
            send_all(self._producer, new)
            self._producer.commit_transaction()
        except KafkaError as exc:
            with suppress(KafkaError):  # a transaction that cannot be aborted lapses
                self._producer.abort_transaction()
            raise LogError(f"writing {len(new)} records failed: {exc!r}") from exc

    def close(self) -> None:
        """Let go of the connection."""
        self._producer.close(timeout=CLOSE_TIMEOUT_S)


def send_all(producer: KafkaProducer, new: Sequence[NewRecord]) -> None:
    """Send records and wait until all have arrived."""
    sent = [
        producer.send(
            record.topic,
            key=record.key,
            value=record.value,
            partition=record.partition,
            headers=list(record.headers),
        )
        for record in new
    ]
    for future in sent:
        future.get(timeout=SEND_TIMEOUT_S)
