"""Events in Protobuf, by a codec that is announced as a team announces one, on a real Kafka."""

from contextlib import closing
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from kafka_broker.cluster import Cluster
from pigeon_recsys import wiring
from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.history.from_interactions import event_of
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.sending import event_record
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.kafka_writer import KafkaWriter
from tests.connectors.reading import read_all
from tests.streaming.protobuf_codecs import ProtobufEvents

ANNOUNCED = EntryPoint(
    "protobuf", "tests.streaming.protobuf_codecs:protobuf_codecs", "pigeon_recsys.codecs"
)


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for another package that is installed."""

    def with_ours(*, group: str) -> list[Any]:
        return [*entry_points(group=group), *([ANNOUNCED] if group == ANNOUNCED.group else [])]

    monkeypatch.setattr(wiring, "entry_points", with_ours)


def make_topics(kafka: Cluster) -> tuple[str, str]:
    """Return new topics of events and of histories."""
    events, histories = (
        kafka.new_topic(name, num_partitions=2) for name in ("events", "histories")
    )
    kafka.admin.create_topics({events + SUFFIX: {"num_partitions": 1}}, wait_for_metadata=True)
    kafka.topics.append(events + SUFFIX)
    return events, histories


@pytest.mark.usefixtures("announced")
def test_events_are_sent_ingested_and_compared_in_protobuf(
    kafka: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same event in JSON is a dead letter: no reader of it understands Protobuf by chance."""
    data, store = tmp_path / "world", tmp_path / "feast"
    generate_world(data, num_items=60, num_users=4, seed=1)
    FeastHistoryStore.create(store, [])
    events, histories = make_topics(kafka)

    def stream(command: str, *more: str) -> int:
        common = ["--kafka", kafka.bootstrap, "--codec", "protobuf", "--events", events]
        return main(["stream", command, *common, *more])

    assert stream("send", "--data", str(data), "--users", "2") == 0
    dataset = DatasetFolder.open(data)
    sent = [event_of(row) for row in dataset.interactions if row.user_id in dataset.user_ids[:2]]
    values = [record.value or b"" for record in read_all(kafka.bootstrap, events)]
    assert {ProtobufEvents().decode(value) for value in values} == set(sent)
    with closing(KafkaWriter(kafka.bootstrap)) as writer:
        writer.write([event_record(events, sent[0], JsonEvents())])
    ingest = ["--histories", histories, "--store", str(store), "--group", f"{events}-ingest"]
    assert stream("ingest", *ingest, "--until-idle", "3") == 0
    (letter,) = read_all(kafka.bootstrap, events + SUFFIX)
    assert dict(letter.headers)["reason"] == b"malformed"
    for user_id, state in FeastHistoryStore.open(store).states(dataset.user_ids).items():
        own = [event for event in sent if event.user_id == user_id]
        assert state == HistoryState.empty(user_id).merged(own)
    assert stream("parity", "--store", str(store)) == 0
    assert "no difference" in capsys.readouterr().out
