"""What is known of one user: history, generated items, the newest slates of this process.

In:  a user id; the stores of histories, items and pictures, the newest slates.
Out: a `UserStory`, or none for a user of whom nothing is known.
"""

from dataclasses import dataclass

from pigeon_recsys.errors import UnknownUser
from pigeon_recsys.ports import GeneratedItemStore, HistorySource
from pigeon_recsys.records import GeneratedItem, History, Placement, Slate
from pigeon_recsys.service.pictured import Pictured, Pictures
from pigeon_recsys.slot.draft import Draft
from pigeon_recsys.slot.recent_slates import MAX_SLATES, RecentSlates

NUM_LIKED = 24  # newest liked items shown
NUM_ITEMS = 12  # newest generated items shown
HISTORY_LIMIT = 200  # newest interactions read


@dataclass(frozen=True, slots=True)
class SlateLine:
    """A slate in one line."""

    slate: Slate
    at_ms: int
    surface: str
    placed: Placement | None  # of the first generated picture on it
    made: Pictured | None  # that picture


@dataclass(frozen=True, slots=True)
class MadeItem:
    """A stored generated item and its picture."""

    item: GeneratedItem
    shown: Pictured


@dataclass(frozen=True, slots=True)
class UserStory:
    """What is known of a user."""

    user_id: str
    history: History | None  # None: none is stored
    liked: tuple[Pictured, ...]  # newest first
    items: tuple[MadeItem, ...]  # newest first
    slates: tuple[SlateLine, ...]  # newest first


def tell_user(
    user_id: str,
    pictures: Pictures,
    histories: HistorySource,
    stored: GeneratedItemStore | None,
    recent: RecentSlates,
) -> UserStory | None:
    """Tell what is known of a user. Raises `StoreError`."""
    try:
        history = histories.recent(user_id, HISTORY_LIMIT)
    except UnknownUser:
        history = None
    items = stored.of_user(user_id, NUM_ITEMS) if stored else []
    slates = [pair for pair in recent.newest(MAX_SLATES) if pair[1].user_id == user_id]
    if history is None and not items and not slates:
        return None
    liked = history.liked[: -NUM_LIKED - 1 : -1] if history else ()
    return UserStory(
        user_id,
        history,
        tuple(map(pictures.of_catalog, liked)),
        tuple(MadeItem(item, pictures.of_made(item)) for item in items),
        tuple(tell_line(draft, slate, pictures) for draft, slate in slates),
    )


def tell_line(draft: Draft, slate: Slate, pictures: Pictures) -> SlateLine:
    """Return a slate as one line."""
    placed = next((one for one in slate.placements if one.is_generated or one.creative_id), None)
    made_id = None if placed is None else placed.creative_id or placed.item_id
    item = next((one for one in slate.items if one.item_id == made_id), None)
    made = draft.found.generation
    pixels = made.pixels if made is not None and made.item_id == made_id else None
    shown = None if item is None else pictures.of_made(item, pixels)
    return SlateLine(slate, draft.at_ms, draft.request.surface, placed, shown)
