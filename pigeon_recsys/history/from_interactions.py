"""Turn a table of interactions into one history per user.

In:  interactions of any users, in any order.
Out: a `History` per user, oldest first. Its version is the time of the newest event, which
     never decreases while events are only added.
"""

from collections.abc import Iterable

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
