"""`stream send` and `stream ask`: what they write to a real Kafka, and what they refuse."""

from pathlib import Path

import pytest

from kafka_broker.cluster import Cluster
from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.generation_requests import JsonRequests
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from tests.connectors.reading import read_all


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=4, seed=1)
    return folder


def test_send_writes_every_interaction_of_the_users_named(
    kafka: Cluster, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = kafka.new_topic("events", num_partitions=2)
    arguments = ["--kafka", kafka.bootstrap, "--data", str(data), "--events", topic]
    assert main(["stream", "send", *arguments, "--users", "2"]) == 0
    dataset = DatasetFolder.open(data)
    users = dataset.user_ids[:2]
    events = [
        JsonEvents().decode(record.value or b"") for record in read_all(kafka.bootstrap, topic)
    ]
    told = sorted((event.user_id, event.at_ms, event.item_id) for event in events)  # type: ignore[union-attr]
    rows = [row for row in dataset.interactions if row.user_id in users]
    assert told == sorted((row.user_id, row.at_ms, row.item_id) for row in rows)
    assert f"{len(rows)} events of 2 users sent to {topic}" in capsys.readouterr().out


def test_ask_writes_a_request(kafka: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    topic = kafka.new_topic("requests")
    arguments = ["--kafka", kafka.bootstrap, "--requests", topic, "--user", "ada", "--seed", "3"]
    assert main(["stream", "ask", *arguments, "--reference", "i1", "--text", "a cat"]) == 0
    (record,) = read_all(kafka.bootstrap, topic)
    request = JsonRequests().decode(record.value or b"")
    assert (record.key, request.user_id, request.seed) == (b"ada", "ada", 3)
    assert request.reference == Reference("i1", "a cat")
    assert request.request_id in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask", "--user", "ada"], "nothing to draw"),
        (["send", "--data", ".", "--users", "0"], "--users must be at least 1, got 0"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_sent(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *more = arguments
    assert main(["stream", name, "--kafka", "nowhere:1", *more]) == 2
    assert says in capsys.readouterr().err
