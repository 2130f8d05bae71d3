"""What Feast knows: a user's whole interaction history in one row, a generated item in another.

In:  `data/histories.parquet`, one row a history as of its newest interaction, and pushes to
     `history_push` with the same columns; `data/generated_items.parquet` and `item_push`, one row
     an item as of its making. The rows of `user_items` follow from the items and are never pushed.
Out: the feature services `slot_history`, which the generation slot reads by `user_id`, and
     `generated_item`, by `item_id`.

Times are epoch milliseconds in Int64 lists, because some online stores lose timestamp lists.
`version` never decreases for a user; Feast does not enforce it, so a writer drops stale rows.
`state` is what events have made known (`pigeon_recsys/history/state.py`), from which the lists
follow, and `message` is the item as it was published
(`pigeon_recsys/streaming/generated_messages.py`), from which its columns follow; the services
leave both out. `state` of `user_items` is the list of `pigeon_recsys/generation/user_items.py`,
from which `item_ids` follow. Bytes, because Feast stores a String twice in SQL databases and gives
Postgres a full-text index over it.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Array, Bytes, Float32, Float64, Int64, String

user = Entity(
    name="user",
    join_keys=["user_id"],
    value_type=ValueType.STRING,
    description="A person whose feed has a generation slot.",
)

history_file = FileSource(
    name="history_file",
    path="data/histories.parquet",  # relative to this repository
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",  # decides between rows of the same time
    description="Histories as the offline store keeps them.",
)

history_push = PushSource(
    name="history_push",
    batch_source=history_file,
    description="Histories as the stream keeps them. Push to the online store only: a push to "
    "a file offline store rewrites the whole file.",
)

user_history = FeatureView(
    name="user_history",
    entities=[user],
    ttl=timedelta(0),  # a history does not expire, and online reads would not apply a limit
    schema=[
        Field(name="user_id", dtype=String),
        Field(name="item_ids", dtype=Array(String), description="Oldest first, newest last."),
        Field(name="times_ms", dtype=Array(Int64), description="Epoch milliseconds, UTC."),
        Field(name="events", dtype=Array(String), description="`like`, `skip` or `neutral`."),
        Field(name="version", dtype=Int64, description="Never decreases for a user."),
        Field(name="written_ms", dtype=Int64, description="When the row was written."),
        Field(name="state", dtype=Bytes, description="JSON; empty for a history without events."),
    ],
    source=history_push,
    online=True,
    description="A user's interactions; the three lists align.",
)

slot_history = FeatureService(
    name="slot_history",
    features=[user_history[["item_ids", "times_ms", "events", "version", "written_ms"]]],
    description="What the generation slot reads before it fills a feed.",
)

item = Entity(
    name="item",
    join_keys=["item_id"],
    value_type=ValueType.STRING,
    description="A generated picture that a feed may show.",
)

item_file = FileSource(
    name="item_file",
    path="data/generated_items.parquet",  # relative to this repository
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
    description="Generated items as the offline store keeps them.",
)

item_push = PushSource(
    name="item_push",
    batch_source=item_file,
    description="Generated items as they are made. Push to the online store only.",
)

generated_items = FeatureView(
    name="generated_items",
    entities=[item],
    ttl=timedelta(0),
    schema=[
        Field(name="item_id", dtype=String),
        Field(name="image", dtype=String, description="URL of the picture."),
        Field(name="embedding", dtype=Array(Float32), description="Of the picture; length 1."),
        Field(name="user_id", dtype=String, description="Whom it was made for."),
        Field(name="reference_item_id", dtype=String, description="Null where a text was given."),
        Field(name="reason", dtype=String, description="Why it was made, such as `new likes`."),
        Field(name="model", dtype=String),
        Field(name="weights_version", dtype=String),
        Field(name="history_score", dtype=Float64, description="Likeness to the history."),
        Field(name="reference_score", dtype=Float64, description="Likeness to the reference."),
        Field(name="created_ms", dtype=Int64, description="Epoch milliseconds, UTC."),
        Field(name="message", dtype=Bytes, description="All of it, as it was published."),
    ],
    source=item_push,
    online=True,
    description="Pictures made for one user each.",
)

generated_item = FeatureService(
    name="generated_item",
    features=[
        generated_items[
            [
                "image",
                "embedding",
                "user_id",
                "reference_item_id",
                "reason",
                "model",
                "weights_version",
                "history_score",
                "reference_score",
                "created_ms",
            ]
        ]
    ],
    description="What a ranker or an analysis reads of a generated item.",
)

user_item_file = FileSource(
    name="user_item_file",
    path="data/user_items.parquet",  # relative to this repository; every view must name a source
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
    description="Stays empty: which items a user has is written online alone.",
)

user_items = FeatureView(
    name="user_items",
    entities=[user],
    ttl=timedelta(0),
    schema=[
        Field(name="user_id", dtype=String),
        Field(name="item_ids", dtype=Array(String), description="Newest first, at most 50."),
        Field(name="state", dtype=Bytes, description="JSON: all items, and the user's erasure."),
    ],
    source=user_item_file,
    online=True,
    description="The items that were made for a user.",
)
