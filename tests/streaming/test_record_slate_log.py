"""The decision log as records: keyed by user, and what histories are to know is told to ingest."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from pigeon_recsys import hashed_ids
from pigeon_recsys.decisions import SlateEntry
from pigeon_recsys.errors import LogError, SettingsError
from pigeon_recsys.hashed_ids import KEY_VARIABLE, hashed
from pigeon_recsys.history.events import Interacted
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.record_slate_log import RecordSlateLog
from pigeon_recsys.streaming.topics import TopicNames
from pigeon_recsys.testing.slate_log_contract import (
    SlateLogContract,
    make_decision,
    make_exposure,
    make_outcome,
)

NAMES = TopicNames(events="e", decisions="d", exposures="x", outcomes="o")
CODECS = Codecs()


class FakeWriter:
    """Keeps records."""

    def __init__(self) -> None:
        self.records: list[NewRecord] = []
        self.batches: list[int] = []
        self.is_closed = False

    def write(self, new: Sequence[NewRecord]) -> None:
        if self.is_closed:
            raise LogError("the writer is closed")
        self.records += new
        self.batches.append(len(new))

    def close(self) -> None:
        self.is_closed = True


def read(records: Iterable[NewRecord]) -> list[SlateEntry]:
    """Return the entries among records, by the topics above."""
    codecs = {"d": CODECS.decisions, "x": CODECS.exposures, "o": CODECS.outcomes}
    return [
        codecs[record.topic].decode(record.value or b"")  # type: ignore[attr-defined]
        for record in records
        if record.topic in codecs
    ]


class TestRecordSlateLog(SlateLogContract):
    def make_log(self) -> RecordSlateLog:
        self.writer = FakeWriter()
        return RecordSlateLog(self.writer, NAMES)

    def logged(self) -> Iterable[SlateEntry]:
        return read(self.writer.records)


def test_a_batch_is_one_write_of_records_keyed_by_user() -> None:
    writer = FakeWriter()
    RecordSlateLog(writer, NAMES).write(
        [make_decision(user_id="ada"), replace(make_exposure(), user_id="bob")]
    )
    assert writer.batches == [2]
    assert [(each.topic, each.key) for each in writer.records] == [("d", b"ada"), ("x", b"bob")]


def test_ingest_is_told_of_what_histories_are_to_know_and_of_nothing_else() -> None:
    """A click that is no like is an outcome alone; sent twice, a like is the same event."""
    writer, liked = FakeWriter(), make_outcome()
    hidden = make_outcome(2, kind="hide", event="skip")
    clicked = make_outcome(3, kind="click", event=None)
    RecordSlateLog(writer, NAMES).write([liked, clicked, hidden, liked])
    events = [
        CODECS.events.decode(each.value or b"") for each in writer.records if each.topic == "e"
    ]
    like = Interacted(liked.user_id, liked.event_id, liked.at_ms, liked.item_id, "like")
    assert events == [
        like,
        Interacted(hidden.user_id, hidden.event_id, hidden.at_ms, hidden.item_id, "skip"),
        like,
    ]


def test_hashed_users_are_named_to_ingest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(SettingsError, match="hash_users needs the environment variable"):
        RecordSlateLog(FakeWriter(), NAMES, hash_users=True)
    monkeypatch.setenv(KEY_VARIABLE, "key")
    hashed_ids._key.cache_clear()
    writer = FakeWriter()
    RecordSlateLog(writer, NAMES, hash_users=True).write([make_decision(), make_outcome()])
    assert [(each.topic, each.key) for each in writer.records] == [
        ("d", hashed("ada é 漢字").encode()),
        ("o", hashed("ada é 漢字").encode()),
        ("e", "ada é 漢字".encode()),
    ]
    assert {each.user_id for each in read(writer.records)} == {hashed("ada é 漢字")}
    hashed_ids._key.cache_clear()


def test_closing_closes_the_writer() -> None:
    writer = FakeWriter()
    RecordSlateLog(writer).close()
    assert writer.is_closed
