"""What can happen to a user's history: something done, taken back, or everything erased.

Events come from many producers, late, twice and out of order. So each says all that is needed to
put it in its place: the id and the time of what was done, never "the last one".
"""

from dataclasses import dataclass

from pigeon_recsys.records import EVENTS


@dataclass(frozen=True, slots=True)
class Interacted:
    """A user did something to an item; sent again with a higher revision, it is corrected.

    A correction keeps the id and the time, which are its place; what changes is the item or what
    was done to it. A wrong time is corrected by taking the event back and sending another.
    """

    user_id: str
    event_id: str
    at_ms: int  # epoch milliseconds, UTC: when it was done, not when it was sent
    item_id: str
    event: str  # one of records.EVENTS
    revision: int = 0

    def __post_init__(self) -> None:
        if self.event not in EVENTS:
            raise ValueError(f"event must be one of {EVENTS}, got {self.event!r}")


@dataclass(frozen=True, slots=True)
class TakenBack:
    """An interaction does not count any more (an "undo like"), whichever of its revisions."""

    user_id: str
    event_id: str  # of the interaction
    at_ms: int  # of the interaction


@dataclass(frozen=True, slots=True)
class Erased:
    """A user's interactions up to a moment are forgotten, those still to arrive too."""

    user_id: str
    at_ms: int


HistoryEvent = Interacted | TakenBack | Erased
