"""Writing records to Kafka without reading any: what a producer of events needs.

In:  broker addresses, records.
Out: the records, written in one transaction.
"""

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pigeon_recsys.errors import LogError, MissingExtra
from pigeon_recsys.streaming.event_log import NewRecord

try:
    from kafka.errors import KafkaError

    from pigeon_recsys_connectors.kafka_admission import check_admitted
    from pigeon_recsys_connectors.kafka_transactions import TRANSACTION_TIMEOUT_S, Transactions
except ModuleNotFoundError as exc:
    raise MissingExtra("kafka", needed_for="writing to Kafka", library="kafka-python") from exc


class KafkaWriter:
    """Implements `RecordWriter`. Threads take turns; a failure costs the batch it met alone."""

    def __init__(self, bootstrap: str, security: Mapping[str, Any] | None = None) -> None:
        """Raises `LogError` when no broker answers, or none lets this client in."""
        check_admitted(bootstrap, security)
        settings = {
            "bootstrap_servers": bootstrap,
            "transactional_id": f"writer-{uuid.uuid4().hex}",
            "transaction_timeout_ms": round(TRANSACTION_TIMEOUT_S * 1000),
            **(security or {}),
        }
        self._lock = threading.Lock()
        try:
            self._transactions = Transactions(settings)
        except KafkaError as exc:
            raise LogError(f"no Kafka broker answers at {bootstrap}: {exc!r}") from exc

    def write(self, new: Sequence[NewRecord]) -> None:
        """Write all records, in order within each key, or none."""
        try:
            with self._lock:
                self._transactions.run(new)
        except KafkaError as exc:
            raise LogError(f"writing {len(new)} records failed: {exc!r}") from exc

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._transactions.close()
