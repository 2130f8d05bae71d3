"""`stream follow` on a real Kafka: a published item is in the index folder, once."""

import json
from pathlib import Path

import numpy as np

from kafka_broker.cluster import Cluster
from pigeon_recsys.cli import main
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.testing.generated_item_store_contract import DIM, make_item
from pigeon_recsys_connectors.kafka_writer import KafkaWriter


def test_published_items_reach_the_folder_once(kafka: Cluster, tmp_path: Path) -> None:
    topic, letters = kafka.unique("generated"), SUFFIX
    for name, count in ((topic, 3), (topic + letters, 1)):
        kafka.admin.create_topics({name: {"num_partitions": count}}, wait_for_metadata=True)
        kafka.topics.append(name)
    folder, result = tmp_path / "index", tmp_path / "result.json"
    FaissIndex.build(["cat"], np.eye(1, DIM, dtype=np.float32)).save(folder)
    items = [make_item(number, user_id=f"user-{number}") for number in range(5)]
    values = [JsonGeneratedItems().encode(item) for item in items]
    writer = KafkaWriter(kafka.bootstrap)
    keyed = zip(items, values, strict=True)
    writer.write([NewRecord(topic, i.provenance.user_id.encode(), v) for i, v in keyed])
    writer.write([NewRecord(topic, b"user-0", b"no item")])
    writer.close()
    command = ["stream", "follow", "--kafka", kafka.bootstrap, "--generated", topic]
    command += ["--index", str(folder), "--until-idle", "3", "--json", str(result)]
    for expected in ((6, 5, 1), (0, 0, 0)):
        assert main(command) == 0
        done = json.loads(result.read_text())
        assert (done["num_records"], done["num_items"], done["num_dead"]) == expected
    index = FaissIndex.load(folder)
    assert set(index.item_ids) == {"cat", *(item.item_id for item in items)}
    found = index.vectors([items[0].item_id])[0]
    assert np.array_equal(found, items[0].embedding)
