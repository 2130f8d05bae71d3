"""The event log on a real Kafka keeps the contract; a worker left behind writes nothing."""

import time
from collections.abc import Mapping, Sequence

import pytest
from kafka import KafkaProducer

from kafka_broker.cluster import Cluster
from kafka_broker.ports import free_port
from pigeon_recsys.errors import LogError, PartitionsMoved
from pigeon_recsys.streaming.event_log import EventLog, NewRecord, Record, read_up_to
from pigeon_recsys.testing.event_log_contract import EventLogContract, polled_from
from pigeon_recsys_connectors.kafka_event_log import KafkaEventLog
from tests.connectors.reading import read_all

QUICK = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 500}
SHORT = {"max_block_ms": 3000}


class TestKafkaEventLog(EventLogContract):
    @pytest.fixture(autouse=True)
    def _on(self, kafka: Cluster) -> None:
        self.kafka = kafka
        self.group = kafka.unique("group")

    def make_topics(self, num_partitions: Mapping[str, int]) -> Mapping[str, str]:
        return {
            name: self.kafka.new_topic(name, num_partitions=count)
            for name, count in num_partitions.items()
        }

    def make_log(self, reads: Sequence[str]) -> EventLog:
        return make_log(self.kafka, self.group, reads)

    def write(self, records: Sequence[NewRecord]) -> None:
        write(self.kafka, records)

    def read_all(self, topic: str) -> list[Record]:
        return read_all(self.kafka.bootstrap, topic)


def make_log(kafka: Cluster, group: str, reads: Sequence[str], **consumer: int) -> KafkaEventLog:
    return KafkaEventLog(kafka.bootstrap, group, reads, consumer=QUICK | consumer, producer=SHORT)


def write(kafka: Cluster, records: Sequence[NewRecord]) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for new in records:
        producer.send(
            new.topic,
            key=new.key,
            value=new.value,
            partition=new.partition,
            headers=list(new.headers),
        ).get(timeout=10)
    producer.close()


def poll_until_shared(logs: Sequence[KafkaEventLog], share: int) -> list[Record]:
    """Poll until each log has so many partitions; return all records."""
    polled = []
    for _ in range(60):
        for log in logs:
            polled += log.poll(0.3)
        if all(len(log.held()) == share for log in logs):
            return polled
    pytest.fail(f"{share} partitions each expected, found {[log.held() for log in logs]}")


def test_a_worker_left_behind_writes_nothing(kafka: Cluster) -> None:
    """It polls, stops answering until its partitions are another's, and then wants to commit."""
    events, results = kafka.new_topic("events"), kafka.new_topic("results")
    group = kafka.unique("group")
    write(kafka, [NewRecord(events, b"k", b"1")])
    zombie = make_log(kafka, group, [events], max_poll_interval_ms=6000)
    polled = polled_from(zombie, 1)
    heir = make_log(kafka, group, [events])
    taken_over = polled_from(heir, 1)
    assert taken_over == polled
    with pytest.raises(PartitionsMoved):
        zombie.commit(read_up_to(polled), [NewRecord(results, b"k", b"from the zombie")])
    heir.commit(read_up_to(taken_over), [NewRecord(results, b"k", b"from the heir")])
    assert [record.value for record in read_all(kafka.bootstrap, results)] == [b"from the heir"]
    zombie.close()
    heir.close()


def test_a_worker_that_comes_back_does_not_mark_what_it_was_refused(kafka: Cluster) -> None:
    """The producer of kafka-python 3.0 sends refused offsets along with the next transaction."""
    events, results = (kafka.new_topic(name, num_partitions=2) for name in ("events", "results"))
    group = kafka.unique("group")
    zombie = make_log(kafka, group, [events], max_poll_interval_ms=6000)
    write(kafka, [NewRecord(events, b"k", b"1", partition=n) for n in range(2)])
    polled = polled_from(zombie, 2)
    heir = make_log(kafka, group, [events])
    heir.commit(read_up_to(polled_from(heir, 2)), [NewRecord(results, b"k", b"1", partition=1)])
    write(kafka, [NewRecord(events, b"k", b"2", partition=n) for n in range(2)])
    heir.commit(read_up_to(polled_from(heir, 2)), [])
    with pytest.raises(PartitionsMoved):
        zombie.commit(read_up_to(polled), [])
    zombie.rewind()
    poll_until_shared([zombie, heir], 1)
    zombie.commit({}, [NewRecord(results, b"k", b"2", partition=0)])
    zombie.close()
    heir.close()
    afterwards = make_log(kafka, group, [events])
    assert afterwards.poll(5.0) == []
    assert len(afterwards.held()) == 2
    afterwards.close()


def test_a_worker_thrown_out_while_it_joins_begins_anew(kafka: Cluster) -> None:
    """kafka-python 3.0 tells of partitions that are lost only where it is not joining already."""
    events = kafka.new_topic("events")
    write(kafka, [NewRecord(events, b"k", b"1")])
    log = make_log(kafka, kafka.unique("group"), [events])
    polled = polled_from(log, 1)
    (before,) = log.held().values()
    coordinator = log._consumer._coordinator
    coordinator.rejoining = True
    coordinator.reset_generation()
    with pytest.raises(PartitionsMoved, match="of the member it was before"):
        commit_as_the_next_member(log, polled)
    assert polled_from(log, 1) == polled
    (after,) = log.held().values()
    assert after > before
    log.close()


def commit_as_the_next_member(log: KafkaEventLog, polled: Sequence[Record]) -> None:
    """As where the group has answered and no poll has taken its answer."""
    log._membership = log._membership._replace(member_id="next", generation_id=6)
    log.commit(read_up_to(polled), [])


def test_workers_of_a_group_share_the_partitions(kafka: Cluster) -> None:
    events, group = kafka.new_topic("events", num_partitions=4), kafka.unique("group")
    write(kafka, [NewRecord(events, b"k", b"1", partition=n) for n in range(4)])
    logs = [make_log(kafka, group, [events]) for _ in range(2)]
    polled = poll_until_shared(logs, 2)
    shares = [{partition for _, partition in log.held()} for log in logs]
    assert shares[0] | shares[1] == {0, 1, 2, 3}
    assert {record.partition for record in polled} == {0, 1, 2, 3}
    for log in logs:
        log.close()


def test_workers_that_do_much_between_short_polls_come_to_rest(kafka: Cluster) -> None:
    """kafka-python 3.0 joins anew where the group has answered while nobody polled."""
    events, group = kafka.new_topic("events", num_partitions=4), kafka.unique("group")
    logs = [make_log(kafka, group, [events]) for _ in range(2)]
    generations = [_generations_after_short_polls(logs) for _ in range(16)]
    assert generations[-5:] == [generations[-1]] * 5
    assert [len(log.held()) for log in logs] == [2, 2]
    for log in logs:
        log.close()


def _generations_after_short_polls(logs: Sequence[KafkaEventLog]) -> list[int]:
    for log in logs:
        log.poll(0.05)
        time.sleep(0.15)
    return [log._membership.generation_id for log in logs]


@pytest.mark.parametrize("address", [f"127.0.0.1:{free_port()}", "nowhere", "127.0.0.1:x"])
def test_no_broker_is_a_clear_error(address: str) -> None:
    with pytest.raises(LogError, match="no Kafka broker answers at") as caught:
        KafkaEventLog(address, "group", ["events"])
    assert address in str(caught.value)
