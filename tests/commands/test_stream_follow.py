"""`pigeon-recsys stream follow`, on a log in memory."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.commands import stream_follow
from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.topics import GENERATED
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.generated_item_store_contract import DIM, make_item


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    stream_follow.register_follow(parser.add_subparsers())
    return parser.parse_args(["follow", "--kafka", "nowhere:1", *words])


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> FakeTopics:
    """Topics in memory, which the command reads."""
    found = FakeTopics({GENERATED: 2, GENERATED + SUFFIX: 1})

    def open_log(args: argparse.Namespace, *reads: str) -> FakeEventLog:
        assert args.group
        return FakeEventLog(found, reads)

    monkeypatch.setattr(stream_follow, "open_log", open_log)
    return found


def test_it_brings_the_folder_up_to_date_and_says_so(
    topics: FakeTopics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "index"
    FaissIndex.build(["cat"], np.eye(1, DIM, dtype=np.float32)).save(folder)
    left = tmp_path / ".index.abcd1234"
    left.mkdir()
    value = JsonGeneratedItems().encode(make_item())
    topics.write([NewRecord(GENERATED, b"ada", value), NewRecord(GENERATED, b"ada", b"no item")])
    args = arguments("--index", str(folder), "--until-idle", "0")
    expected = {"num_records": 2, "num_items": 1, "num_dead": 1, "num_removed": 0}
    assert stream_follow.run_follow(args) == expected
    assert "index: 2 items; 1 came in 2 records, 1 dead letters" in capsys.readouterr().out
    assert make_item().item_id in FaissIndex.load(folder)
    assert sum(topics.committed.values()) == 2
    assert not left.exists()
    assert stream_follow.run_follow(args)["num_records"] == 0


@pytest.mark.parametrize(
    ("words", "error", "fault"),
    [
        (["--save-every", "0"], SettingsError, "--save-every must be above 0 seconds, got 0.0"),
        ([], ArtifactError, r"manifest\.json does not exist.*pigeon-recsys index build"),
    ],
)
def test_what_cannot_work_is_said_before_the_log_is_joined(
    words: Sequence[str], error: Any, fault: str, tmp_path: Path, topics: FakeTopics
) -> None:
    with pytest.raises(error, match=fault):
        stream_follow.run_follow(arguments("--index", str(tmp_path / "index"), *words))
    assert topics.owner is None
