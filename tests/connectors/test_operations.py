"""A worker is operated: health, metrics and logs, on a real Kafka and Feast."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import TopicPartition

from kafka_broker.broker import Broker
from kafka_broker.cluster import Cluster
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.operations.health import Patience, Watchdog
from pigeon_recsys.operations.metrics import StreamMetrics
from pigeon_recsys.operations.server import serving
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.ingest import HistoryIngest, IngestSettings
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import MessageReader
from pigeon_recsys.streaming.sending import event_record
from pigeon_recsys.testing.fakes import FakeHistoryStateStore
from pigeon_recsys_connectors.kafka_event_log import KafkaEventLog
from pigeon_recsys_connectors.kafka_writer import KafkaWriter
from tests.connectors.operated import (
    PATIENCE_S,
    USER,
    Ingest,
    ingest_on,
    like,
    wait_until,
)

NOW_MS = 1_767_225_600_000


def test_a_worker_tells_its_health_its_numbers_and_no_user(ingest: Ingest) -> None:
    ingest.start("--log-format", "json")
    ingest.send(like(1), like(2), (USER, b"no event"))
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    wait_until(lambda: ingest.get("/readyz")[0] == 200)
    assert ingest.get("/healthz") == (200, '{"status": "ok", "problems": []}\n')
    assert ingest.metric("pigeon_records_read_total") == 3
    assert ingest.metric("pigeon_dead_letters_total") == 1
    assert ingest.metric("pigeon_histories_changed_total") >= 1
    assert 0 < ingest.metric("pigeon_event_age_seconds_sum") < 2 * PATIENCE_S
    wait_until(lambda: ingest.metric("pigeon_lag_records") == 0)
    metrics = ingest.get("/metrics")[1]
    _, log = ingest.stop()
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(f"http://{ingest.at}/healthz" in line["message"] for line in lines)
    assert all(line["time"] and line["level"] and line["logger"] for line in lines)
    assert USER not in log + metrics


@pytest.mark.slow
def test_without_its_broker_a_worker_is_alive_and_not_ready(tmp_path: Path) -> None:
    with (
        Broker.start() as broker,
        ingest_on(broker.bootstrap, "alone", tmp_path / "feast") as ingest,
    ):
        ingest.start()
        wait_until(lambda: ingest.get("/readyz")[0] == 200)
        broker.kill()
        wait_until(lambda: ingest.get("/readyz")[0] == 503)
        assert ingest.problems("/readyz") == ["the log fails"]
        assert ingest.problems("/healthz") == []
        assert ingest.metric("pigeon_log_failures_total") >= 1
        broker.restart()
        wait_until(lambda: ingest.get("/readyz")[0] == 200)
        ingest.send(like(1))
        wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 1)
        ingest.stop()


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold a lock between writers, as a writer that hangs would."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@pytest.mark.slow
def test_a_worker_whose_step_takes_too_long_fails_its_health_check(ingest: Ingest) -> None:
    ingest.start("--hang-after", "3")
    ingest.send(like(1))
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 1)
    (lock,) = (ingest.store / "data").glob("*history*.lock")
    with held(lock):
        ingest.send(like(2))
        wait_until(lambda: ingest.get("/healthz")[0] == 503)
        assert ingest.problems("/healthz") == ["the worker's loop hangs"]
    wait_until(lambda: ingest.get("/healthz")[0] == 200)
    ingest.stop()


def test_a_partition_that_goes_silent_fails_the_health_check_and_is_named(kafka: Cluster) -> None:
    """As one did that was kept across a rebalance, before kafka-python 3.0.11."""
    events, histories = (kafka.new_topic(name, num_partitions=2) for name in ("in", "out"))
    watchdog, store = Watchdog(Patience(stall_s=2.0)), FakeHistoryStateStore()
    settings = IngestSettings(histories, poll_s=0.2)
    with (
        closing(KafkaEventLog(kafka.bootstrap, kafka.unique("group"), [events])) as log,
        serving("127.0.0.1:0", watchdog, StreamMetrics()) as at,
    ):
        worker = HistoryIngest(log, store, MessageReader(JsonEvents()), settings, watchdog)
        while len(log.held()) < 2:
            worker.step()
        log._consumer.pause(TopicPartition(events, 1))
        likes = [Interacted(user, "e", NOW_MS, "i", LIKE) for user in ("of-0", "of-1")]
        with closing(KafkaWriter(kafka.bootstrap)) as writer:
            sent = [event_record(events, each, JsonEvents()) for each in likes]
            writer.write([replace(each, partition=number) for number, each in enumerate(sent)])
        while not watchdog.alive():
            worker.step()
        worker_at = Ingest(kafka.bootstrap, "", Path(), at)
        status, page = worker_at.get("/healthz")
    (problem,) = json.loads(page)["problems"]
    assert (status, problem["what"]) == (503, "a partition is stalled")
    assert (problem["topic"], problem["partition"]) == (events, 1)
    assert store.states(["of-0", "of-1"]).keys() == {"of-0"}, "the other one went on"
