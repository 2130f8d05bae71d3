"""All that committed transactions have written to some partitions of a topic.

In:  client settings, a topic, partition numbers.
Out: the records, up to the end of each partition as it is when reading begins.

The end is that of all records, not of the committed ones: as long as a transaction of a worker that
died is open, records behind it are hidden, and they are waited for. Kafka ends such a transaction
after the producer's `transaction_timeout_ms`.
"""

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.event_log import Record

POLL_MS = 200
WAIT_S = 120.0  # for transactions of others to end


def partition_contents(
    settings: Mapping[str, Any], topic: str, partitions: Collection[int]
) -> Iterator[Record]:
    """Yield the records, in order within each partition. Raises `LogError`."""
    if not partitions:
        return
    places = [TopicPartition(topic, number) for number in sorted(partitions)]
    try:
        ends = _ends(settings, places)
        with closing(_reader(settings, "read_committed")) as consumer:
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            deadline_s = time.monotonic() + WAIT_S
            while unread := [place for place in places if consumer.position(place) < ends[place]]:
                if time.monotonic() > deadline_s:
                    raise LogError(
                        f"{topic} cannot be read to its end in partitions "
                        f"{[place.partition for place in unread]}: a transaction has been open for "
                        f"{WAIT_S:.0f} s. Look for a producer that neither commits nor aborts."
                    )
                for records in consumer.poll(timeout_ms=POLL_MS).values():
                    deadline_s = time.monotonic() + WAIT_S
                    for each in records:
                        yield Record(
                            topic,
                            each.partition,
                            each.offset,
                            each.key,
                            each.value,
                            tuple(each.headers),
                        )
    except KafkaError as exc:
        raise LogError(f"reading {topic} failed: {exc!r}") from exc


def _ends(
    settings: Mapping[str, Any], places: Collection[TopicPartition]
) -> dict[TopicPartition, int]:
    """Return the offset behind the last record of each partition, committed or not."""
    with closing(_reader(settings, "read_uncommitted")) as consumer:
        ends: dict[TopicPartition, int] = consumer.end_offsets(list(places))
    return ends


def _reader(settings: Mapping[str, Any], isolation_level: str) -> KafkaConsumer:
    """Return a consumer of no group."""
    return KafkaConsumer(**settings, isolation_level=isolation_level, enable_auto_commit=False)
