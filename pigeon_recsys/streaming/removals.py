"""Records of the topic `generated-items` that take items back: a user was erased.

In:  a user and the ids of the erased items.
Out: records without a value, keyed like the items, with one header `erased` an item; or the ids.

A record without a value is Kafka's word for what is gone. The ids are headers because the record
is keyed by the user, whom it shares with items that stay; and every codec of items can be used.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from pigeon_recsys.streaming.event_log import NewRecord, Record

ERASED = "erased"  # the header
BATCH = 200  # ids a record: some 10 KB of headers


def removal_records(topic: str, user_id: str, item_ids: Iterable[str]) -> list[NewRecord]:
    """Return the records that take a user's items back."""
    return [
        NewRecord(topic, user_id.encode(), None, headers=tuple(batch))
        for batch in _batches((ERASED, item_id.encode()) for item_id in item_ids)
    ]


def removed_ids(record: Record) -> tuple[str, ...]:
    """Return the items that a record takes back, none for any other record."""
    if record.value is not None:
        return ()
    return tuple(value.decode(errors="replace") for name, value in record.headers if name == ERASED)


def _batches(headers: Iterator[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    while batch := list(islice(headers, BATCH)):
        yield batch
