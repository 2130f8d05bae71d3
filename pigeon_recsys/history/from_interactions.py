"""Turn a table of interactions into one history per user.

In:  interactions of any users, in any order.
Out: a `History` per user, oldest first. Its version is the time of the newest event, which
     never decreases while events are only added. Or each row as an event, for a stream that
     takes over from a table.
"""

import hashlib
from collections.abc import Iterable

from pigeon_recsys.history.events import Interacted
from pigeon_recsys.records import History, Interaction


def history_of(user_id: str, interactions: Iterable[Interaction]) -> History:
    """Return one user's history; events at the same time are ordered by item id.

    Interactions of other users are left out. Without any, the history is empty, version 0.
    """
    rows = sorted(
        (row for row in interactions if row.user_id == user_id),
        key=lambda row: (row.at_ms, row.item_id, row.event),
    )
    return History(
        user_id=user_id,
        item_ids=tuple(row.item_id for row in rows),
        times_ms=tuple(row.at_ms for row in rows),
        events=tuple(row.event for row in rows),
        version=rows[-1].at_ms if rows else 0,
    )


def histories_by_user(interactions: Iterable[Interaction]) -> dict[str, History]:
    """Return every user's history, keyed by user id, in the order of the ids."""
    rows_by_user: dict[str, list[Interaction]] = {}
    for row in interactions:
        rows_by_user.setdefault(row.user_id, []).append(row)
    return {user_id: history_of(user_id, rows_by_user[user_id]) for user_id in sorted(rows_by_user)}


def event_of(row: Interaction) -> Interacted:
    """Return a row as an event, the same however often; a row has no id, so this gives it one.

    A store knows the interactions of a history published to it by these ids. Whoever sends them
    again, as events, or takes one back, uses them too, and nothing counts twice. Rows that are
    equal are one event.
    """
    content = f"{len(row.item_id)}:{row.item_id}|{row.event}|{row.at_ms}"
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    return Interacted(row.user_id, f"row/{digest[:32]}", row.at_ms, row.item_id, row.event)
