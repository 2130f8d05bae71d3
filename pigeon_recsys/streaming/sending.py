"""What a producer sends: a dataset's interactions as events, a request for an image.

In:  interactions, or what somebody asks for.
Out: records, keyed by user.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from pigeon_recsys.history.events import HistoryEvent, Interacted
from pigeon_recsys.records import Interaction
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.messages import Codec

ID_DIGITS = 24  # hex


def events_of(interactions: Iterable[Interaction]) -> Iterator[Interacted]:
    """Yield interactions as events. Sent again, they have the same ids, and count once."""
    seen: Counter[Interaction] = Counter()
    for row in interactions:
        seen[row] += 1
        content = f"{row.user_id}\0{row.item_id}\0{row.event}\0{row.at_ms}\0{seen[row]}"
        event_id = hashlib.sha256(content.encode()).hexdigest()[:ID_DIGITS]
        yield Interacted(row.user_id, event_id, row.at_ms, row.item_id, row.event)


def event_record(topic: str, event: HistoryEvent, codec: Codec[HistoryEvent]) -> NewRecord:
    """Return an event as a record."""
    return NewRecord(topic, event.user_id.encode(), codec.encode(event))


def request_record(
    topic: str, request: GenerationRequest, codec: Codec[GenerationRequest]
) -> NewRecord:
    """Return a request as a record."""
    return NewRecord(topic, request.user_id.encode(), codec.encode(request))
