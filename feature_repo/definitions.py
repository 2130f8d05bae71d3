"""What Feast knows about a user: one row holding the whole interaction history.

In:  `data/histories.parquet`, one row a history as of its newest interaction, and pushes to
     `history_push` with the same columns.
Out: the feature service `slot_history`, which the generation slot reads by `user_id`.

Times are epoch milliseconds in Int64 lists, because some online stores lose timestamp lists.
`version` never decreases for a user; Feast does not enforce it, so a writer drops stale rows.
`state` is what events have made known (`pigeon_recsys/history/state.py`), from which the lists
follow; the service leaves it out. Bytes, because Feast stores a String twice in SQL databases and
gives Postgres a full-text index over it.
"""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Array, Bytes, Int64, String

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
