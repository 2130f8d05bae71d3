"""Transactions of one worker on Kafka, each within a limited time.

In:  producer settings with a transactional id; records, offsets, the membership they were read by.
Out: all of it written, or none; a `KafkaError` then.

kafka-python 3.0 waits for a broker to end a transaction without a limit, so that a worker whose
brokers are gone could not even be stopped. Here it waits in a thread of its own, for as long as
the broker would let the transaction live. After that the producer is given up: it sends nothing
any more, and the broker aborts what it had begun.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys_connectors.kafka_writer import CLOSE_TIMEOUT_S, send_all

MARGIN_S = 2.0  # by then the broker has aborted it


class Transactions:
    """One after the other. One thread uses it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """`settings` name `transaction_timeout_ms`. Raises `KafkaError` without a broker."""
        self._settings = settings
        self._limit_s = settings["transaction_timeout_ms"] / 1000 + MARGIN_S
        self._producer: KafkaProducer | None = self._new_producer()

    def run(
        self,
        new: Sequence[NewRecord],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        membership: ConsumerGroupMetadata,
    ) -> None:
        """Write records and offsets together. Raises `KafkaError` where nothing was written."""
        if self._producer is None:
            self._producer = self._new_producer()
        producer = self._producer
        try:
            _within(self._limit_s, partial(_transact, producer, new, offsets, membership))
        except KafkaTimeoutError:
            self._give_up(producer)
            raise
        except KafkaError:
            try:
                _within(self._limit_s, producer.abort_transaction)
            except KafkaError:
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
        producer = KafkaProducer(**self._settings)
        producer.init_transactions()
        return producer


def _transact(
    producer: KafkaProducer,
    new: Sequence[NewRecord],
    offsets: Mapping[TopicPartition, OffsetAndMetadata],
    membership: ConsumerGroupMetadata,
) -> None:
    producer.begin_transaction()
    send_all(producer, new)
    producer.send_offsets_to_transaction(offsets, membership)
    producer.commit_transaction()


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
    thread.join(limit_s)
    if thread.is_alive():
        raise KafkaTimeoutError(f"no answer of the brokers in {limit_s:g} s")
    if failures:
        raise failures[0]
