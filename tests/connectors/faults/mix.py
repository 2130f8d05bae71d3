"""What producers send in a fault test, good and bad, and what has to come of it.

In:  a seed, numbers of events, users and requests.
Out: records in the order they are sent: duplicates, late by days, reordered, corrected, taken
     back, erased, requests; and records that nobody can use, of every kind.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP, Reference
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generation_requests import GenerationRequest, JsonRequests
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from tests.connectors.faults.plant import Plant

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000  # 2025-01-01
FUTURE_MS = 4_102_444_800_000  # 2100-01-01
SPAN_DAYS = 30  # events of a run happened in these
NEAR = 200  # records: as far most events are displaced
LIKED_ITEMS, ASKED_ITEMS = range(100), range(100, 120)  # requests ask for what nobody has liked
BAD_KINDS = ("malformed", "oversized", "wrong-schema", "wrong-key", "future-dated")


@dataclass(frozen=True)
class Letter:
    """A record that must end as a dead letter."""

    topic: str
    key: bytes | None
    value: bytes | None
    reason: str

    @property
    def record(self) -> NewRecord:
        """Return the record as it is sent."""
        return NewRecord(self.topic, self.key, self.value)


@dataclass
class Mix:
    """What was sent so far and what must come of it."""

    plant: Plant
    chance: random.Random
    events: list[HistoryEvent] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)  # users whose jobs fail, and the reason
    num_records: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def of(cls, plant: Plant, seed: int) -> "Mix":
        """Begin with nothing."""
        return cls(plant, random.Random(seed))

    def sent(self, records: Iterable[NewRecord]) -> list[NewRecord]:
        """Count records that are about to be sent, and return them."""
        found = list(records)
        for record in found:
            self.num_records[record.topic] += 1
        return found

    def event(self, event: HistoryEvent) -> NewRecord:
        """Return the record of an event that must be in the history from now on."""
        self.events.append(event)
        return NewRecord(self.plant.topics.events, _key(event.user_id), JsonEvents().encode(event))

    def likes(self, user_ids: Iterable[str], count: int, first: int = 0) -> list[NewRecord]:
        """Return the first likes of some users."""
        return [
            self.event(
                Interacted(user_id, f"like-{n}", START_MS + n, _item((7 * n + place) % 100), LIKE)
            )
            for place, user_id in enumerate(user_ids)
            for n in range(first, first + count)
        ]

    def request(self, user_id: str, number: int, item_id: str | None = None) -> NewRecord:
        """Return the record of a request that can be answered."""
        item_id = item_id or _item(self.chance.choice(ASKED_ITEMS))
        request = GenerationRequest(
            user_id, f"{user_id}/{number}", START_MS + number, Reference(item_id), seed=number
        )
        topic = self.plant.topics.requests
        return NewRecord(topic, _key(user_id), JsonRequests().encode(request))

    def impossible(self, liking: Sequence[str]) -> list[NewRecord]:
        """Return requests of users nobody knows, and of users with likes for items that are none.

        A newer request takes the place of one that waits, so each user asks once.
        """
        found = []
        for number, user_id in enumerate(liking):
            unknown_item = self.request(user_id, number, f"no-item-{number}")
            unknown_user = self.request(f"nobody.{number}", number)
            for record, reason in ((unknown_item, "unknown-item"), (unknown_user, "unknown-user")):
                self.letters.append(Letter(record.topic, record.key, record.value, reason))
                found.append(record)
        return found

    def bad(self, num_each: int) -> list[NewRecord]:
        """Return records that nobody can use, so many of each kind, on both topics."""
        events, requests = self.plant.topics.events, self.plant.topics.requests
        letters = [
            letter
            for number in range(num_each)
            for topic, good in ((events, _good_event), (requests, _good_request))
            for letter in _bad(topic, good(number), number)
        ]
        self.letters += letters
        return [letter.record for letter in letters]

    def flow(
        self, num_records: int, user_ids: Sequence[str], erased: Sequence[str]
    ) -> list[NewRecord]:
        """Return so many records of events in an order of arrival."""
        num_events = num_records * 8 // 10
        in_time = sorted(self._happening(num_events, user_ids), key=lambda each: each.at_ms)
        arriving = [
            (place + self._displaced(num_events), self.event(each))
            for place, each in enumerate(in_time)
        ]
        for user_id in erased:
            place = self.chance.randrange(num_events)
            event = self.event(Erased(user_id, in_time[place].at_ms))
            arriving.append((place + self._displaced(num_events), event))
        while len(arriving) < num_records:  # duplicates, soon or late
            before, record = self.chance.choice(arriving)
            arriving.append((before + abs(self._displaced(num_events)), record))
        return [record for _, record in sorted(arriving, key=lambda each: each[0])]

    def mingled(self, flow: Sequence[NewRecord], others: Sequence[NewRecord]) -> list[NewRecord]:
        """Return a flow with other records at random places in it."""
        places = [(float(place), record) for place, record in enumerate(flow)]
        places += [(self.chance.uniform(0, len(flow)), record) for record in others]
        return [record for _, record in sorted(places, key=lambda each: each[0])]

    def pause(self, longest_s: float) -> None:
        """Let a random time pass: faults come at random moments."""
        time.sleep(self.chance.uniform(longest_s / 3, longest_s))

    def _displaced(self, num_events: int) -> float:
        """Return how far a record is displaced: a little mostly, sometimes by days."""
        reach = num_events if self.chance.random() < 0.1 else NEAR
        return self.chance.uniform(-reach / 2, reach)

    def _happening(self, count: int, user_ids: Sequence[str]) -> Iterator[HistoryEvent]:
        """Yield things done, and sometimes corrected or taken back."""
        done = 0
        while done < count:
            user_id, number = self.chance.choice(user_ids), done
            at_ms = START_MS + DAY_MS + self.chance.randrange(SPAN_DAYS * DAY_MS)
            event = self.chance.choices((LIKE, SKIP, NEUTRAL), (7, 2, 1))[0]
            did = Interacted(
                user_id, f"e-{number}", at_ms, _item(self.chance.choice(LIKED_ITEMS)), event
            )
            yield did
            done += 1
            fate = self.chance.random()
            if fate < 0.05:
                yield replace(did, event=SKIP, revision=1)
                done += 1
            elif fate < 0.15:
                yield TakenBack(user_id, did.event_id, at_ms)
                done += 1

    def histories(self) -> Mapping[str, HistoryState]:
        """Return each user's history as it must be."""
        of_user: dict[str, list[HistoryEvent]] = defaultdict(list)
        for event in self.events:
            of_user[event.user_id].append(event)
        return {
            user_id: HistoryState.empty(user_id).merged(events)
            for user_id, events in of_user.items()
        }

    @property
    def erased(self) -> set[str]:
        """Users who may lose a job in hand, because they were erased."""
        return {event.user_id for event in self.events if isinstance(event, Erased)}


def _key(user_id: str) -> bytes:
    return user_id.encode()


def _item(number: int) -> str:
    return f"item-{number % 120:02d}"


def _good_event(number: int) -> dict[str, object]:
    return {
        "version": 1, "kind": "interaction", "event_id": f"bad-{number}", "user_id": "mallory",
        "item_id": "item-01", "event": "like", "at_ms": START_MS,
    }  # fmt: skip


def _good_request(number: int) -> dict[str, object]:
    return {
        "version": 1, "request_id": f"bad-{number}", "user_id": "mallory",
        "reference": {"item_id": "item-01"}, "at_ms": START_MS,
    }  # fmt: skip


def _bad(topic: str, good: Mapping[str, object], number: int) -> Iterator[Letter]:
    """Yield a record of each kind that cannot be used; all differ."""

    def changed(**changes: object) -> bytes:
        return json.dumps({**good, **changes}).encode()

    key = _key("mallory")
    yield Letter(topic, key, changed()[: -1 - number], "malformed")
    yield Letter(topic, key, b"\xff\xfe%d" % number, "malformed")
    yield Letter(topic, _key(f"mallory {number}"), None, "malformed")
    yield Letter(topic, key, changed(more="x" * (20_000 + number)), "oversized")
    yield Letter(topic, key, changed(version=9), "wrong-schema")
    yield Letter(topic, key, changed(at_ms="yesterday"), "wrong-schema")
    yield Letter(topic, _key(f"eve {number}"), changed(), "wrong-key")
    yield Letter(topic, None, changed(), "wrong-key")
    yield Letter(topic, key, changed(at_ms=FUTURE_MS + number), "future-dated")
