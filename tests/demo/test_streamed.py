"""The streamed part of the demo, on a real broker: events become histories, requests images."""

from pathlib import Path

import pytest

from kafka_broker.cluster import Cluster
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.demo.slot_file import FEATURE_REPO
from pigeon_recsys.demo.streamed import DemoStream
from pigeon_recsys.errors import PigeonError
from pigeon_recsys.records import Reference
from pigeon_recsys.wiring import SHIPPED_WEIGHTS, build_artifacts, history_store_type


@pytest.mark.slow
def test_events_become_histories_and_requests_images(kafka: Cluster, tmp_path: Path) -> None:
    generate_world(tmp_path / "data", num_items=60, num_users=4, seed=3)
    dataset = DatasetFolder.open(tmp_path / "data")
    history_store_type("feast").create(tmp_path / FEATURE_REPO, [])
    build_artifacts(tmp_path, SHIPPED_WEIGHTS, dataset)
    stream = DemoStream.on(kafka.bootstrap, tmp_path)
    stream.send_histories(dataset)
    histories = history_store_type("feast").open(tmp_path / FEATURE_REPO)
    for user_id in dataset.user_ids:
        assert set(histories.recent(user_id, 200).liked) == set(dataset.history(user_id).liked)
    user_id, item_id = dataset.user_ids[0], dataset.item_ids[0]
    asked = [(user_id, Reference(item_id))]
    (image,) = stream.make_images(dataset, tmp_path, SHIPPED_WEIGHTS, asked)
    assert (image.user_id, image.reason) == (user_id, "request")
    assert image.title == dataset.item(item_id).title
    assert image.pixels.std() > 0
    assert image.waited_s > 0


def test_a_worker_that_fails_says_what_it_said(kafka: Cluster, tmp_path: Path) -> None:
    stream = DemoStream.on(kafka.bootstrap, tmp_path / "no-such-folder")
    with pytest.raises(PigeonError, match="`stream ingest` failed: .*no history store"):
        stream._worker("ingest", "--store", str(tmp_path))
