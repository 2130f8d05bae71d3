"""`stream archive` on a real Kafka: what a slot logged there is in the folder, each entry once."""

import json
from pathlib import Path

from kafka_broker.cluster import Cluster
from pigeon_recsys.cli import main
from pigeon_recsys.decision_tables import read_decisions, read_exposures, read_outcomes
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.record_slate_log import RecordSlateLog
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys.testing.slate_log_contract import make_decision, make_exposure, make_outcome
from pigeon_recsys_connectors.kafka_writer import KafkaWriter


def test_a_log_on_kafka_reaches_a_folder_once(kafka: Cluster, tmp_path: Path) -> None:
    kinds = ("decisions", "exposures", "outcomes", "events")
    topics = TopicNames(**{kind: kafka.unique(kind) for kind in kinds})
    named = {kind: getattr(topics, kind) for kind in kinds}
    for topic in named.values():
        for name in (topic, topic + SUFFIX):
            kafka.admin.create_topics({name: {"num_partitions": 2}}, wait_for_metadata=True)
            kafka.topics.append(name)
    writer = KafkaWriter(kafka.bootstrap)
    log = RecordSlateLog(writer, topics)
    decisions = [make_decision(number) for number in range(5)]
    log.write([*decisions, make_exposure(), make_outcome()])
    writer.write([NewRecord(topics.decisions, b"ada", b"no decision")])
    log.close()
    folder, result = tmp_path / "log", tmp_path / "result.json"
    command = ["stream", "archive", "--kafka", kafka.bootstrap, "--out", str(folder)]
    command += [word for kind in kinds[:3] for word in (f"--{kind}", named[kind])]
    command += ["--group", kafka.unique("archive"), "--until-idle", "3", "--json", str(result)]
    for expected in ((8, 1), (0, 0)):
        assert main(command) == 0
        done = json.loads(result.read_text())
        assert (done["num_records"], done["num_dead"]) == expected
    found = sorted(read_decisions(folder), key=lambda each: each.request_id)
    assert found == sorted(decisions, key=lambda each: each.request_id)
    assert list(read_exposures(folder)) == [make_exposure()]
    assert list(read_outcomes(folder)) == [make_outcome()]
