"""Do the stream and the offline table give the same histories? Both ways, and what differs.

In:  the events of a log, in the order in which they arrived.
Out: each user's history as the stream makes it, as a table of rows over time has it, and every
     difference between any two answers.

As of a moment, a history is what all events of the log with `at_ms` at or before it make, whenever
they arrived: a late event counts from its own time on, and so does a take-back, which has the time
of what it takes back, and an erasure, which forgets what lies at or before its time.

The stream is replayed as workers work: small batches in the order of arrival, each a state of its
own, joined. The table is made without states: in the order of time nothing is ever late, so one
pass over the sorted events gives a row for every time at which something changed.
"""

import random
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from typing import Any

from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import History

BATCH = 7  # events; so small that a user's events need many joins

Log = Mapping[str, Sequence[HistoryEvent]]  # by user, in the order of arrival
Moment = tuple[str, int]  # user id and epoch milliseconds


@dataclass(frozen=True, slots=True)
class Difference:
    """One user's history at one moment, from the stream and from another place."""

    user_id: str
    at_ms: int
    source: str  # the other place, e.g. `point-in-time join`
    streamed: History | None
    found: History | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it; None where there was no history."""
        return asdict(self)


def is_sampled(user_id: str, share: float) -> bool:
    """Whether a user is among this share of all users, always the same."""
    return zlib.crc32(user_id.encode("utf-8", "surrogatepass")) < share * 2**32


def moments(log: Log, num_a_user: int, seed: int) -> list[Moment]:
    """Return for each user some moments where the history changes, and the end of the log last.

    Half of these are a millisecond before an event, where it must not count yet.
    """
    if not log:
        return []
    chance = random.Random(seed)
    end_ms = max(event.at_ms for events in log.values() for event in events)
    asked: list[Moment] = []
    for user_id, events in sorted(log.items()):
        times_ms = sorted({event.at_ms for event in events})
        picked = chance.sample(times_ms, min(num_a_user, len(times_ms)))
        chosen = {max(0, at_ms - number % 2) for number, at_ms in enumerate(picked)}
        asked += [(user_id, at_ms) for at_ms in sorted(chosen | {end_ms})]
    return asked


def streamed(log: Log, moment: Moment, capacity: int) -> History | None:
    """Return what the stream makes of a user's events up to a moment; None without any."""
    user_id, at_ms = moment
    arriving = (event for event in log[user_id] if event.at_ms <= at_ms)
    state = HistoryState.empty(user_id, capacity)
    is_known = False
    while batch := list(islice(arriving, BATCH)):
        state = state.joined(HistoryState.empty(user_id, capacity).merged(batch))
        is_known = True
    return state.history() if is_known else None


def table(log: Log, capacity: int) -> Iterator[History]:
    """Yield the rows of all users; a row holds from its version, which is a time, to the next."""
    for user_id, events in log.items():
        yield from _rows(user_id, events, capacity)


def differences(
    asked: Sequence[Moment],
    source: str,
    from_stream: Iterable[History | None],
    found: Iterable[History | None],
) -> list[Difference]:
    """Return where two answers to the same questions are not the same, in the order asked."""
    return [
        Difference(user_id, at_ms, source, ours, theirs)
        for (user_id, at_ms), ours, theirs in zip(asked, from_stream, found, strict=True)
        if ours != theirs
    ]


def _rows(user_id: str, events: Iterable[HistoryEvent], capacity: int) -> Iterator[History]:
    places: list[Interacted | None] = []  # oldest first; None where it was taken back
    by_time = sorted(events, key=lambda event: event.at_ms)
    for at_ms, group in groupby(by_time, key=lambda event: event.at_ms):
        here = list(group)
        places += _places(here)
        places = [] if any(isinstance(event, Erased) for event in here) else places[-capacity:]
        counting = [place for place in places if place is not None]
        yield History(
            user_id,
            tuple(place.item_id for place in counting),
            tuple(place.at_ms for place in counting),
            tuple(place.event for place in counting),
            version=at_ms,
        )


def _places(here: Sequence[HistoryEvent]) -> list[Interacted | None]:
    """Return what stands at each place of one moment, by event id."""
    standing: dict[str, Interacted | None] = {}
    done = [event for event in here if isinstance(event, Interacted)]
    for event in sorted(done, key=lambda event: (event.revision, event.item_id, event.event)):
        standing[event.event_id] = event
    standing |= {event.event_id: None for event in here if isinstance(event, TakenBack)}
    return [standing[event_id] for event_id in sorted(standing)]
