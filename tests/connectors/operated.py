"""An ingest worker as somebody operates it: a process, its pages, its topics and its store."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

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
    suffix: str = ""  # of its topics
    process: subprocess.Popen[str] | None = None

    @property
    def events(self) -> str:
        return f"{self.prefix}-interactions{self.suffix}"

    @property
    def topics(self) -> list[str]:
        return ["--events", self.events, "--histories", f"{self.prefix}-histories{self.suffix}"]

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
