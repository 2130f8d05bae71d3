"""The cluster tests and benchmarks work with: records, transactions, and where it comes from."""

import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from kafka_broker.cluster import Cluster, open_cluster
from kafka_broker.errors import BrokerError
from kafka_broker.ports import free_port

TIMEOUT_MS = 30_000
NO_LEADER_EPOCH = -1  # kafka-python 3.0 waits for ever when this is None


def produce(kafka: Cluster, topic: str, values: list[bytes]) -> None:
    """Write records to a topic."""
    with KafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for sent in [producer.send(topic, value) for value in values]:
            sent.get(TIMEOUT_MS / 1000)


def consumer_of(kafka: Cluster, topic: str, group: str | None) -> KafkaConsumer:
    """Return a consumer that reads committed records from the start of a topic."""
    return KafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        consumer_timeout_ms=TIMEOUT_MS,
    )


def take(consumer: KafkaConsumer, count: int) -> list[bytes]:
    """Return the next `count` records."""
    return [record.value for _, record in zip(range(count), consumer, strict=False)]


@pytest.mark.kafka
def test_what_is_produced_is_consumed(kafka: Cluster) -> None:
    topic = kafka.new_topic("likes", num_partitions=1)
    produce(kafka, topic, [b"one", b"two"])
    with consumer_of(kafka, topic, group=None) as consumer:
        assert take(consumer, 2) == [b"one", b"two"]


@pytest.mark.kafka
def test_topics_have_names_of_their_own_and_the_settings_asked_for(kafka: Cluster) -> None:
    options = {"num_partitions": 3, "configs": {"cleanup.policy": "compact"}}
    first, second = (kafka.new_topic("changes", **options) for _ in range(2))
    assert first != second
    assert first.startswith("changes-")
    described, _ = kafka.admin.describe_topics([first, second])
    assert len(described["partitions"]) == 3


@pytest.mark.kafka
def test_a_committed_transaction_is_seen_and_an_aborted_one_is_not(kafka: Cluster) -> None:
    """Consume, transform, produce: the output and the offsets of it are there, or neither is.

    The first try at three records is aborted, so they are read again from offset 0, and only
    the second try's output is seen; the committed offset is then 3.
    """
    source, target = kafka.new_topic("source"), kafka.new_topic("target")
    group = kafka.unique("workers")
    produce(kafka, source, [b"a", b"b", b"c"])
    with KafkaProducer(
        bootstrap_servers=kafka.bootstrap, transactional_id=kafka.unique("worker")
    ) as producer:
        producer.init_transactions()
        for attempt in ("aborted", "committed"):
            with consumer_of(kafka, source, group) as consumer:
                values = take(consumer, 3)
                producer.begin_transaction()
                for value in values:
                    producer.send(target, value.upper() + attempt.encode())
                end = {TopicPartition(source, 0): OffsetAndMetadata(3, "", NO_LEADER_EPOCH)}
                producer.send_offsets_to_transaction(end, consumer.group_metadata())
                if attempt == "aborted":
                    producer.flush()
                    producer.abort_transaction()
                else:
                    producer.commit_transaction()
    produce(kafka, target, [b"end"])
    with consumer_of(kafka, target, group=None) as consumer:
        assert take(consumer, 4) == [b"Acommitted", b"Bcommitted", b"Ccommitted", b"end"]
    with consumer_of(kafka, source, group) as consumer:
        assert consumer.committed(TopicPartition(source, 0)) == 3


def test_a_named_cluster_must_be_named_by_host_and_port() -> None:
    with pytest.raises(BrokerError) as caught, open_cluster({"PIGEON_KAFKA": "localhost"}):
        pass
    assert str(caught.value) == (
        "PIGEON_KAFKA must be host:port, got 'localhost'. "
        "Or unset PIGEON_KAFKA: a broker is then started where one is needed."
    )


def test_a_named_cluster_must_be_there() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerError) as caught, open_cluster({"PIGEON_KAFKA": address}):
        pass
    assert str(caught.value) == (
        f"PIGEON_KAFKA={address}: no Kafka broker listens at {address} (Connection refused). "
        "Start one there, or name the address of one. "
        "Or unset PIGEON_KAFKA: a broker is then started where one is needed."
    )


@pytest.mark.kafka
def test_topics_made_on_a_named_cluster_are_deleted_from_it(kafka: Cluster) -> None:
    """Even where the test itself deleted one of them."""
    with open_cluster({"PIGEON_KAFKA": kafka.bootstrap}) as named:
        kept, deleted = named.new_topic("kept"), named.new_topic("deleted")
        kafka.admin.delete_topics([deleted])
        assert kept in kafka.admin.list_topics()
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while {kept, deleted} & set(kafka.admin.list_topics()):  # the broker deletes in its own time
        assert time.monotonic() < deadline
