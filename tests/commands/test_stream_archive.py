"""`pigeon-recsys stream archive`: what a person meets, on a log in memory."""

import argparse
from pathlib import Path

import pytest

from pigeon_recsys.commands import stream_archive
from pigeon_recsys.decision_tables import read_exposures
from pigeon_recsys.errors import LogError, SettingsError
from pigeon_recsys.streaming.dead_letters import SUFFIX
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.exposure_messages import JsonExposures
from pigeon_recsys.streaming.topics import DECISIONS, EXPOSURES, OUTCOMES
from pigeon_recsys.testing.fake_event_log import FakeEventLog, FakeTopics
from pigeon_recsys.testing.slate_log_contract import make_exposure


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    stream_archive.register_archive(parser.add_subparsers())
    return parser.parse_args(["archive", "--kafka", "nowhere:1", *words])


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> FakeTopics:
    """Topics in memory, which the command reads."""
    names = (DECISIONS, EXPOSURES, OUTCOMES)
    found = FakeTopics({**dict.fromkeys(names, 2), **{name + SUFFIX: 1 for name in names}})

    def open_log(args: argparse.Namespace, *reads: str) -> FakeEventLog:
        assert args.group == "pigeon-archive"
        return FakeEventLog(found, reads)

    monkeypatch.setattr(stream_archive, "open_log", open_log)
    return found


def test_it_fills_the_folder_and_says_so(
    topics: FakeTopics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = JsonExposures().encode(make_exposure())
    topics.write([NewRecord(EXPOSURES, b"ada", value), NewRecord(EXPOSURES, b"ada", b"{")])
    args = arguments("--out", str(tmp_path / "log"), "--until-idle", "0")
    assert stream_archive.run_archive(args) == {"num_records": 2, "num_dead": 1}
    assert "log: 2 records, 1 dead letters" in capsys.readouterr().out
    assert list(read_exposures(tmp_path / "log")) == [make_exposure()]
    assert stream_archive.run_archive(args)["num_records"] == 0


def test_a_time_that_means_nothing_is_refused(topics: FakeTopics, tmp_path: Path) -> None:
    args = arguments("--out", str(tmp_path / "log"), "--write-every", "0")
    with pytest.raises(SettingsError, match="--write-every must be above 0 seconds, got 0.0"):
        stream_archive.run_archive(args)


def test_a_folder_that_cannot_be_written_is_told_before_the_log_is_joined(
    topics: FakeTopics, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    args = arguments("--out", str(tmp_path / "file" / "log"))
    with pytest.raises(LogError, match="cannot write the decision log into"):
        stream_archive.run_archive(args)
    assert topics.owner is None
