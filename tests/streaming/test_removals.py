"""Removals come back as they were sent, and no other record is one."""

import pytest

from pigeon_recsys.streaming.event_log import NewRecord, Record
from pigeon_recsys.streaming.removals import BATCH, ERASED, removal_records, removed_ids


def read(record: NewRecord) -> Record:
    return Record(record.topic, 0, 0, record.key, record.value, record.headers)


def test_removals_are_keyed_by_the_user_and_split_into_batches() -> None:
    item_ids = [f"gen-é{number}" for number in range(BATCH + 1)]
    records = removal_records("items", "ada", item_ids)
    assert [len(record.headers) for record in records] == [BATCH, 1]
    assert {(record.topic, record.key, record.value) for record in records} == {
        ("items", b"ada", None)
    }
    assert [item_id for record in records for item_id in removed_ids(read(record))] == item_ids


def test_nothing_to_remove_is_no_record() -> None:
    assert removal_records("items", "ada", []) == []


@pytest.mark.parametrize(
    ("value", "headers"),
    [(b"an item", ((ERASED, b"gen-1"),)), (None, ()), (None, (("other", b"gen-1"),))],
)
def test_other_records_remove_nothing(
    value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    assert removed_ids(Record("items", 0, 0, b"ada", value, headers)) == ()
