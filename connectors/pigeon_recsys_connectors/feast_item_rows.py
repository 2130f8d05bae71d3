"""Generated items as rows of the Feast view `generated_items`, and back.

In:  generated items, or the bytes that Feast answers with.
Out: an Arrow table with the columns of `feature_repo/definitions.py`, or an item.

Every column follows from the item's message, which a row holds as well: what is read is read from
there, so that it comes back exactly, while the other columns serve rankers and analyses.
"""

from collections.abc import Iterable

import pyarrow as pa

from pigeon_recsys.errors import EventError, ItemStoreError, SettingsError
from pigeon_recsys.records import GeneratedItem
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems

CODEC = JsonGeneratedItems()

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


def to_item_rows(items: Iterable[GeneratedItem], written_ms: int) -> pa.Table:
    """Return one row an item. Raises `SettingsError` for one that no message can carry."""
    rows = [_to_row(item, written_ms) for item in items]
    columns = {name: [row[name] for row in rows] for name in ITEM_SCHEMA.names}
    return pa.table(columns, schema=ITEM_SCHEMA)


def _to_row(item: GeneratedItem, written_ms: int) -> dict[str, object]:
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
        "history_score": made.history_score,
        "reference_score": made.reference_score,
        "created_ms": made.created_ms,
        "message": message,
        "event_timestamp": made.created_ms,
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
