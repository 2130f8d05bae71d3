"""The decision log on a real Kafka: whole batches, each of which can be tried again."""

from collections.abc import Iterable
from dataclasses import fields

import pytest
from kafka import KafkaProducer
from kafka.errors import ProducerFencedError

from kafka_broker.cluster import Cluster
from kafka_broker.ports import free_port
from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys.testing.slate_log_contract import (
    SlateLogContract,
    make_exposure,
    make_outcome,
)
from pigeon_recsys_connectors.kafka_slate_log import KafkaSlateLog
from tests.connectors.reading import read_all

USED = ("events", "decisions", "exposures", "outcomes")
CODECS = Codecs()


def make_names(kafka: Cluster) -> TopicNames:
    """Return the names of new topics; those that a slate log does not use do not exist."""
    return TopicNames(**{name: kafka.new_topic(name, num_partitions=2) for name in USED})


def entries(kafka: Cluster, names: TopicNames) -> list[SlateEntry]:
    codecs = {
        names.decisions: CODECS.decisions,
        names.exposures: CODECS.exposures,
        names.outcomes: CODECS.outcomes,
    }
    return [
        codec.decode(record.value or b"")  # type: ignore[attr-defined]
        for topic, codec in codecs.items()
        for record in read_all(kafka.bootstrap, topic)
    ]


class TestKafkaSlateLog(SlateLogContract):
    @pytest.fixture(autouse=True)
    def _cluster(self, kafka: Cluster) -> None:
        self.kafka = kafka

    def make_log(self) -> KafkaSlateLog:
        self.names = make_names(self.kafka)
        return KafkaSlateLog(self.kafka.bootstrap, topics=self.names)

    def logged(self) -> Iterable[SlateEntry]:
        return entries(self.kafka, self.names)


def test_a_like_reaches_ingest_in_the_same_transaction(kafka: Cluster) -> None:
    names = make_names(kafka)
    log = KafkaSlateLog(kafka.bootstrap, topics=names)
    log.write([make_outcome()])
    log.close()
    (event,) = read_all(kafka.bootstrap, names.events)
    assert event.key == make_outcome().user_id.encode()
    assert CODECS.events.decode(event.value or b"").at_ms == make_outcome().at_ms


def test_a_batch_that_failed_can_be_written_again(
    kafka: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = make_names(kafka)
    log = KafkaSlateLog(kafka.bootstrap, topics=names)

    def fails(*_: object) -> None:
        raise ProducerFencedError

    with monkeypatch.context() as broken:
        broken.setattr(KafkaProducer, "commit_transaction", fails)
        with pytest.raises(LogError, match="ProducerFenced"):
            log.write([make_exposure()])
    log.write([make_exposure()])
    log.close()
    assert entries(kafka, names) == [make_exposure()]


def test_no_broker_is_a_clear_error() -> None:
    with pytest.raises(LogError, match="no Kafka broker answers at"):
        KafkaSlateLog(f"127.0.0.1:{free_port()}")


def test_every_topic_has_a_name_of_its_own() -> None:
    names = [getattr(TopicNames(), field.name) for field in fields(TopicNames)]
    assert len(set(names)) == len(names)
