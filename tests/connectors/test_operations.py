"""A worker is operated: health, metrics, logs and the runbook, on a real Kafka and Feast."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from kafka_broker.broker import Broker
from kafka_broker.cluster import Cluster
from kafka_broker.ports import free_port
from pigeon_recsys.cli import main
from pigeon_recsys.hashed_ids import KEY_VARIABLE
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys_connectors.feast_history import FeastHistoryStore

USER = "ada@example.com"
PATIENCE_S = 90.0
POLL_S = 0.2


@dataclass
class Ingest:
    """A worker that runs, and its topics."""

    kafka: str
    prefix: str  # of its topics and its group
    store: Path
    at: str
    process: subprocess.Popen[str] | None = None

    @property
    def events(self) -> str:
        return f"{self.prefix}-interactions"

    @property
    def topics(self) -> list[str]:
        return ["--events", self.events, "--histories", f"{self.prefix}-histories"]

    @property
    def group(self) -> str:
        return f"{self.prefix}-group"

    def start(self, *more: str) -> None:
        path = {"PYTHONPATH": os.pathsep.join(sys.path), KEY_VARIABLE: "key"}
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pigeon_recsys.cli", "stream", "ingest", "-v"),
                *("--kafka", self.kafka, *self.topics, "--group", self.group),
                *("--store", str(self.store), "--operations", self.at, *more),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **path},
        )

    def stop(self) -> tuple[str, str]:
        """End the worker in good order and return what it printed and logged."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        printed = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, printed[1]
        return printed

    def get(self, page: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.at}{page}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with closing(refused):
                return refused.code, refused.read().decode()
        except OSError as exc:
            return 0, str(exc)

    def problems(self, page: str) -> list[str]:
        found: list[dict[str, Any]] = json.loads(self.get(page)[1])["problems"]
        return [problem["what"] for problem in found]

    def metric(self, name: str) -> float:
        """Return a metric, summed over its labels."""
        lines = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return sum(map(float, lines))

    def send(self, *values: tuple[str, bytes]) -> None:
        producer = KafkaProducer(bootstrap_servers=self.kafka)
        for user_id, value in values:
            producer.send(self.events, key=user_id.encode(), value=value).get(timeout=30)
        producer.close()


def like(number: int) -> tuple[str, bytes]:
    at_ms = time.time_ns() // 1_000_000
    return USER, JsonEvents().encode(Interacted(USER, f"e{number}", at_ms, f"i{number}", LIKE))


def wait_until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(POLL_S)


@contextmanager
def ingest_on(bootstrap: str, prefix: str, store: Path) -> Iterator[Ingest]:
    FeastHistoryStore.create(store, [])
    found = Ingest(bootstrap, prefix, store, f"127.0.0.1:{free_port()}")
    assert main(["stream", "topics", "--kafka", bootstrap, "--partitions", "2", *found.topics]) == 0
    try:
        yield found
    finally:
        if found.process is not None and found.process.poll() is None:
            found.process.kill()
            found.process.communicate()


@pytest.fixture
def ingest(kafka: Cluster, tmp_path: Path) -> Iterator[Ingest]:
    with ingest_on(kafka.bootstrap, kafka.unique("operated"), tmp_path / "feast") as found:
        kafka.topics.extend(found.topics[1::2])
        yield found


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


def runbook(repo_root: Path, chapter: str) -> list[str]:
    """Return the code blocks of a chapter."""
    page = (repo_root / "docs/operations.md").read_text()
    text = page.split(f"### {chapter}\n")[1].split("\n### ")[0]
    return re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)


def admin(command: str, ingest: Ingest) -> str:
    """Run a command of the runbook on this test's broker and group."""
    for written, real in (
        ("python", sys.executable),
        ("HOST:PORT", ingest.kafka),
        ("pigeon-ingest", ingest.group),
        ("interactions:", f"{ingest.events}:"),
        ("{0..11}", "{0..1}"),
    ):
        command = command.replace(written, real)
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout


def commands(
    repo_root: Path, chapter: str, program: str = "python -m kafka.admin"
) -> Sequence[str]:
    lines = [line for block in runbook(repo_root, chapter) for line in block.splitlines()]
    return [line for line in lines if line.startswith(program)]


@pytest.mark.slow
def test_a_day_is_reprocessed_as_the_runbook_says(ingest: Ingest, repo_root: Path) -> None:
    ingest.send(like(1), like(2))
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    for command in commands(repo_root, "Lag grows"):
        assert ingest.events in admin(command, ingest)
    ingest.stop()
    store = FeastHistoryStore.open(ingest.store)
    before = store.states([USER])
    (reset,) = commands(repo_root, "Reprocess a day")
    admin(reset, ingest)
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    assert ingest.metric("pigeon_histories_changed_total") == 0
    ingest.stop()
    assert store.states([USER]) == before


@pytest.mark.slow
def test_a_user_is_erased_as_the_runbook_says(ingest: Ingest, repo_root: Path) -> None:
    ingest.send(like(1))
    ingest.start()
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 1)
    (code,) = runbook(repo_root, "A user's erasure")
    for placeholder, real in (
        ('"USER"', repr(USER)),
        ("HOST:PORT", ingest.kafka),
        ('"interactions"', repr(ingest.events)),
    ):
        assert placeholder in code
        code = code.replace(placeholder, real)
    exec(code, {})
    wait_until(lambda: ingest.metric("pigeon_events_counted_total") == 2)
    ingest.stop()
    assert FeastHistoryStore.open(ingest.store).recent(USER, 9).item_ids == ()


@pytest.mark.slow
def test_a_record_is_passed_as_the_runbook_says(ingest: Ingest, repo_root: Path) -> None:
    (skip,) = commands(repo_root, "A poison message")
    skip = re.sub(r"interactions:3:1205", "interactions:0:0", skip)
    admin(skip, ingest)
    (describe,) = commands(repo_root, "Broker down")
    assert "cluster_id" in admin(describe, ingest)
