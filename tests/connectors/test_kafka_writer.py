"""Writing to a real Kafka: all records or none, each where its key belongs."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import KafkaProducer

from kafka_broker.cluster import Cluster
from kafka_broker.ports import free_port
from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.event_log import NewRecord, RecordWriter
from pigeon_recsys_connectors.kafka_writer import KafkaWriter
from tests.connectors.reading import read_all


def test_records_of_a_key_stay_together_and_in_order(kafka: Cluster) -> None:
    topic = kafka.new_topic("events", num_partitions=4)
    writer = KafkaWriter(kafka.bootstrap)
    assert isinstance(writer, RecordWriter)
    keys = [b"ada", b"bob", b"eve"]
    for batch in range(2):
        writer.write([NewRecord(topic, key, str(batch).encode()) for key in keys])
    writer.close()
    for key in keys:
        found = [record for record in read_all(kafka.bootstrap, topic) if record.key == key]
        assert len({record.partition for record in found}) == 1
        assert [record.value for record in found] == [b"0", b"1"]


def test_where_one_cannot_be_written_none_is_and_the_writer_goes_on(kafka: Cluster) -> None:
    topic = kafka.new_topic("events")
    writer = KafkaWriter(kafka.bootstrap)
    too_large = NewRecord(topic, b"k", b"x" * 10_000_000)
    with pytest.raises(LogError, match="writing 2 records failed"):
        writer.write([NewRecord(topic, b"k", b"small"), too_large])
    writer.write([NewRecord(topic, b"k", b"after")])
    writer.close()
    assert [record.value for record in read_all(kafka.bootstrap, topic)] == [b"after"]


def test_threads_share_a_writer(kafka: Cluster) -> None:
    topic = kafka.new_topic("events")
    writer = KafkaWriter(kafka.bootstrap)
    keys = [b"%d" % number for number in range(8)]
    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(lambda key: writer.write([NewRecord(topic, key, b"")] * 2), keys))
    writer.close()
    assert sorted(r.key or b"" for r in read_all(kafka.bootstrap, topic)) == sorted(keys * 2)


def test_a_writer_that_is_fenced_loses_that_batch_alone(kafka: Cluster) -> None:
    """Its producer can write no more, whatever it is asked: the next batch gets another."""
    topic = kafka.new_topic("events")
    writer = KafkaWriter(kafka.bootstrap)
    name = writer._transactions._settings["transactional_id"]
    thief = KafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=name)
    thief.init_transactions()
    thief.close()
    with pytest.raises(LogError, match=r"writing 1 records failed: .*(Fenced|Epoch)"):
        writer.write([NewRecord(topic, b"k", b"fenced")])
    writer.write([NewRecord(topic, b"k", b"after")])
    writer.close()
    assert [record.value for record in read_all(kafka.bootstrap, topic)] == [b"after"]


def test_no_broker_is_a_clear_error() -> None:
    with pytest.raises(LogError, match="no Kafka broker answers at"):
        KafkaWriter(f"127.0.0.1:{free_port()}")
