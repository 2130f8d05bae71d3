"""Transactions on Kafka, one after the other, each within a limited time.

In:  producer settings with a transactional id; records; of a worker that reads, offsets and the
     membership they were read by.
Out: all of it written, or none; a `KafkaError` then.

kafka-python 3.0 waits for a broker to end a transaction without a limit, so that a worker whose
brokers are gone could not even be stopped. Here it waits in a thread of its own, for as long as
the broker would let the transaction live. After that the producer is given up: it sends nothing
any more, and the broker aborts what it had begun.

A producer of kafka-python 3.0 serves no second transaction after one that was refused: it keeps the
refused offsets and sends them along with the next, which may set the group back in a partition that
is another worker's by now. So the next transaction gets another producer then, too.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys_connectors.kafka_admission import check_reachable

TRANSACTION_TIMEOUT_S = 10.0  # Kafka looks for transactions that lapsed every 10 s
SEND_TIMEOUT_S = 30.0
CLOSE_TIMEOUT_S = 3.0
MARGIN_S = 2.0  # by then the broker has aborted it


class Transactions:
    """One after the other. One thread uses it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """`settings` name `transaction_timeout_ms`.

        Raises `LogError` or `KafkaError` where no broker answers.
        """
        self._limit_s = settings["transaction_timeout_ms"] / 1000 + MARGIN_S
        limit_ms = round(self._limit_s * 1000)
        self._settings = {"bootstrap_timeout_ms": limit_ms, "max_block_ms": limit_ms, **settings}
        self._producer: KafkaProducer | None = self._new_producer()

    def run(
        self,
        new: Sequence[NewRecord],
        offsets: Mapping[TopicPartition, OffsetAndMetadata] | None = None,
        membership: ConsumerGroupMetadata | None = None,
    ) -> None:
        """Write records, and offsets where given, together, or none of it.

        Raises `KafkaError` then, or `LogError` where no broker can be reached any more.
        """
        if self._producer is None:
            self._producer = self._new_producer()
        producer = self._producer
        ends_s = time.monotonic() + self._limit_s
        try:
            _within(self._limit_s, partial(_transact, producer, new, offsets, membership))
        except KafkaTimeoutError:
            self._give_up(producer)
            raise
        except KafkaError:
            with suppress(KafkaError):
                _within(ends_s - time.monotonic(), producer.abort_transaction)
            self._give_up(producer)
            raise

    def close(self) -> None:
        """Let go of the producer."""
        if self._producer is not None:
            self._producer.close(timeout=CLOSE_TIMEOUT_S)

    def _give_up(self, producer: KafkaProducer) -> None:
        """Let a producer send nothing any more; the next transaction gets another.

        `close` alone would not do: it gives up where records wait, and the sender goes on.
        """
        self._producer = None
        producer._sender.force_close()
        with suppress(KafkaError):
            producer.close(timeout=0)

    def _new_producer(self) -> KafkaProducer:
        check_reachable(self._settings["bootstrap_servers"])
        producer = KafkaProducer(**self._settings)
        try:
            producer.init_transactions()
        except KafkaError:
            producer.close(timeout=0)
            raise
        return producer


def _transact(
    producer: KafkaProducer,
    new: Sequence[NewRecord],
    offsets: Mapping[TopicPartition, OffsetAndMetadata] | None,
    membership: ConsumerGroupMetadata | None,
) -> None:
    producer.begin_transaction()
    _send_all(producer, new)
    if offsets is not None:
        producer.send_offsets_to_transaction(offsets, membership)
    producer.commit_transaction()


def _send_all(producer: KafkaProducer, new: Sequence[NewRecord]) -> None:
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


def _within(limit_s: float, work: Callable[[], None]) -> None:
    """Do work, raising what it raises, or `KafkaTimeoutError` where it takes too long."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=run, name="transaction", daemon=True)
    thread.start()
    thread.join(max(0.0, limit_s))
    if thread.is_alive():
        raise KafkaTimeoutError(f"no answer of the brokers in {limit_s:.3g} s")
    if failures:
        raise failures[0]
