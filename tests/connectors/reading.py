"""Whole topics, as a consumer of committed records sees them."""

from contextlib import closing

from kafka import KafkaConsumer, TopicPartition

from pigeon_recsys.streaming.event_log import Record


def read_all(bootstrap: str, topic: str) -> list[Record]:
    """Return all that committed transactions have written, partition by partition."""
    settings = {"bootstrap_servers": bootstrap, "isolation_level": "read_committed"}
    with closing(KafkaConsumer(**settings)) as consumer:
        places = [TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found: list[Record] = []
        while any(consumer.position(place) < ends[place] for place in places):
            for records in consumer.poll(timeout_ms=200).values():
                found += [
                    Record(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers))
                    for r in records
                ]
    return sorted(found, key=lambda record: (record.partition, record.offset))
