"""`pigeon-recsys stream`: what a person meets, on a real Kafka and Feast."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaProducer

from kafka_broker.cluster import Cluster
from pigeon_recsys.cli import main
from pigeon_recsys.history.events import HistoryEvent, Interacted, TakenBack
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys_connectors.feast_history import FeastHistoryStore

NOW_MS = 1_767_225_600_000
IDLE = ["--until-idle", "3"]


@dataclass(frozen=True)
class Stream:
    """Topics of a test's own, and a store."""

    kafka: Cluster
    events: str
    histories: str
    store: Path

    def run(self, command: str, *more: str) -> int:
        return main(["stream", command, *self.arguments(command), *more])

    def arguments(self, command: str) -> list[str]:
        common = ["--kafka", self.kafka.bootstrap]
        if command == "replay":
            return [*common, "--topic", self.events, "--group", f"{self.events}-replay"]
        common += ["--events", self.events, "--histories", self.histories]
        if command == "topics":
            others = ("requests", "generated", "state", "exposures", "decisions", "outcomes")
            return [*common, *(f for n in others for f in (f"--{n}", f"{self.events}-{n}"))]
        return [*common, "--store", str(self.store), "--group", f"{self.events}-ingest"]

    def send(self, *events: HistoryEvent) -> None:
        self.send_values(*((e.user_id.encode(), JsonEvents().encode(e)) for e in events))

    def send_values(self, *records: tuple[bytes, bytes]) -> None:
        producer = KafkaProducer(bootstrap_servers=self.kafka.bootstrap)
        for key, value in records:
            producer.send(self.events, key=key, value=value).get(timeout=10)
        producer.close()


@pytest.fixture
def stream(kafka: Cluster, tmp_path: Path) -> Stream:
    FeastHistoryStore.create(tmp_path / "feast", [])
    events, histories = kafka.unique("interactions"), kafka.unique("histories")
    found = Stream(kafka, events, histories, tmp_path / "feast")
    assert found.run("topics", "--partitions", "3") == 0
    made = kafka.admin.list_topics()
    kafka.topics.extend(topic for topic in made if topic.startswith((events, histories)))
    return found


def like(number: int) -> Interacted:
    return Interacted("ada", f"e{number}", NOW_MS + number, f"i{number}", LIKE)


def test_events_become_histories_and_bad_ones_can_be_replayed(
    stream: Stream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream.send(like(1), like(2), TakenBack("ada", "e1", NOW_MS + 1))
    stream.send_values((b"ada", b"no event"))
    result = tmp_path / "result.json"
    assert stream.run("ingest", *IDLE, "--json", str(result)) == 0
    done = json.loads(result.read_text())
    assert (done["num_records"], done["num_dead"]) == (4, 1)
    assert FeastHistoryStore.open(stream.store).recent("ada", 9).item_ids == ("i2",)
    assert "4 records:" in capsys.readouterr().out
    for _ in range(2):  # replayed once; a second replay finds nothing
        assert stream.run("replay", "--until-idle", "3") == 0
    out = capsys.readouterr().out
    assert f"1 dead letters sent back to {stream.events}" in out
    assert f"0 dead letters sent back to {stream.events}" in out
    assert stream.run("ingest", *IDLE, "--json", str(result)) == 0
    assert json.loads(result.read_text()) == {
        "num_records": 1,
        "num_dead": 1,
        "num_changed": 0,
    }


def test_topics_that_exist_stay_as_they_are(
    stream: Stream, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert stream.run("topics", "--partitions", "9") == 0
    assert capsys.readouterr().out.count("was there") == 15
    assert len(stream.kafka.admin.describe_topics([stream.events])[0]["partitions"]) == 3


def test_sigterm_ends_a_worker_after_its_batch(stream: Stream) -> None:
    stream.send(like(1))
    command = [sys.executable, "-m", "pigeon_recsys.cli", "stream", "ingest"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    worker = subprocess.Popen(
        [*command, *stream.arguments("ingest"), "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    store = FeastHistoryStore.open(stream.store)
    for _ in range(600):
        if store.states(["ada"]) or worker.poll() is not None:
            break
        time.sleep(0.1)
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert "1 records: 1 histories changed, 0 dead letters" in out


@pytest.mark.parametrize(
    ("more", "code", "fault"),
    [
        (["topics", "--partitions", "0"], 2, "--partitions must be at least 1, got 0"),
        (["topics"], 1, "no Kafka broker answers at 127.0.0.1:1"),
        (["replay"], 1, "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
def test_what_cannot_work_is_said_in_a_line(
    more: list[str], code: int, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", *more, "--kafka", "127.0.0.1:1"]) == code
    assert fault in capsys.readouterr().err


def test_a_folder_that_is_no_store_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ingest", "--kafka", "127.0.0.1:1", "--store", str(tmp_path)]
    assert main(["stream", *arguments]) == 1
    assert "is no history store" in capsys.readouterr().err
