"""`stream parity` on a real topic: it reads all of it and moves nobody's offsets."""

import argparse
from pathlib import Path

import pytest
from kafka import KafkaProducer

from kafka_broker.cluster import Cluster
from pigeon_recsys.commands.stream_parity import register_parity
from pigeon_recsys.errors import HistoriesDiffer
from pigeon_recsys.history.events import HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys_connectors.feast_history import FeastHistoryStore

NOW_MS = 1_767_225_600_000
USERS = [f"user {number}" for number in range(5)]


def events_of(user_id: str) -> list[HistoryEvent]:
    likes = [Interacted(user_id, f"e{n}", NOW_MS + n, f"i{n}", LIKE) for n in (2, 0, 1)]
    return [*likes, TakenBack(user_id, "e2", NOW_MS + 2)]


def test_a_topic_and_what_was_made_of_it_agree_until_an_event_is_lost(
    kafka: Cluster, tmp_path: Path
) -> None:
    topic = kafka.new_topic("interactions", num_partitions=3)
    store = FeastHistoryStore.create(tmp_path / "store", [])
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for event in (event for user_id in USERS for event in events_of(user_id)):
        producer.send(topic, key=event.user_id.encode(), value=JsonEvents().encode(event))
    producer.close()
    store.join(HistoryState.empty(user_id).merged(events_of(user_id)) for user_id in USERS[:-1])
    parser = argparse.ArgumentParser()
    register_parity(parser.add_subparsers())
    where = ["--kafka", kafka.bootstrap, "--events", topic, "--store", str(tmp_path / "store")]
    args = parser.parse_args(["parity", *where])
    with pytest.raises(HistoriesDiffer, match=r"1 differences: 5 users with 20 events"):
        args.run(args)
    store.join([HistoryState.empty(USERS[-1]).merged(events_of(USERS[-1]))])
    assert args.run(args)["differences"] == []
    assert args.group not in str(kafka.admin.list_groups()), "nobody joined, nothing was committed"
