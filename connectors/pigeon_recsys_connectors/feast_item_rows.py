"""Generated items as rows of the Feast views `generated_items` and `user_items`, and back.

In:  generated items and users' lists of them, or what Feast answers with.
Out: rows with the columns of `feature_repo/definitions.py`, or an item, or a list.

Every column follows from the item's message, or the user's state, which a row holds as well: what
is read is read from there, so that it comes back exactly, while the other columns serve rankers and
analyses. Feast deletes no row, so an erased item is a row of its id and nothing else.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pigeon_recsys.errors import EventError, ItemStoreError, SettingsError
from pigeon_recsys.generation.user_items import UserItems
from pigeon_recsys.records import GeneratedItem
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems

CODEC = JsonGeneratedItems()
Row = Mapping[str, Any]

ITEM_SCHEMA = pa.schema(
    {
        "item_id": pa.string(),
        "image": pa.string(),
        "embedding": pa.list_(pa.float32()),
        "user_id": pa.string(),
        "reference_item_id": pa.string(),
        "reason": pa.string(),
        "model": pa.string(),
        "weights_version": pa.string(),
        "history_score": pa.float64(),
        "reference_score": pa.float64(),
        "created_ms": pa.int64(),
        "message": pa.binary(),
        "event_timestamp": pa.timestamp("ms", tz="UTC"),
        "created_timestamp": pa.timestamp("ms", tz="UTC"),
    }
)
USER_ITEMS_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "item_ids": pa.list_(pa.string()),
        "state": pa.binary(),
        "event_timestamp": pa.timestamp("ms", tz="UTC"),
        "created_timestamp": pa.timestamp("ms", tz="UTC"),
    }
)


def item_row(item: GeneratedItem, written_ms: int) -> Row:
    """Return an item's row. Raises `SettingsError` for one that no message can carry."""
    try:
        message = CODEC.encode(item)
    except EventError as exc:
        raise SettingsError(f"item {item.item_id!r} cannot be stored: {exc}") from exc
    made = item.provenance
    return {
        "item_id": item.item_id,
        "image": item.image,
        "embedding": item.embedding,
        "user_id": made.user_id,
        "reference_item_id": made.reference.item_id,
        "reason": item.reason,
        "model": made.model,
        "weights_version": made.weights_version,
        "history_score": float(made.history_score),
        "reference_score": float(made.reference_score),
        "created_ms": made.created_ms,
        "message": message,
        "event_timestamp": made.created_ms,
        "created_timestamp": written_ms,
    }


def blank_item_row(item_id: str, written_ms: int) -> Row:
    """Return the row of an erased item."""
    return {
        **dict.fromkeys(ITEM_SCHEMA.names),
        "item_id": item_id,
        "event_timestamp": written_ms,
        "created_timestamp": written_ms,
    }


def user_items_row(user_id: str, items: UserItems, written_ms: int) -> Row:
    """Return a user's row."""
    return {
        "user_id": user_id,
        "item_ids": items.newest(),
        "state": items.to_bytes(),
        "event_timestamp": written_ms,
        "created_timestamp": written_ms,
    }


def from_message(item_id: str, message: bytes) -> GeneratedItem:
    """Return the item in the message that is stored under an id."""
    try:
        return CODEC.decode(message)
    except EventError as exc:
        raise ItemStoreError(
            f"what is stored of item {item_id!r} cannot be read: {exc} Put the item again."
        ) from exc


def user_items_from_row(row: Row) -> UserItems:
    """Return the list in one answered row, an empty one where there is none."""
    return UserItems.from_bytes(row["state"]) if row["state"] else UserItems()
