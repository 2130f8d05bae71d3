"""What a producer sends, keyed by user: an event, a request for an image."""

from pigeon_recsys.history.events import HistoryEvent
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.messages import Codec


def event_record(topic: str, event: HistoryEvent, codec: Codec[HistoryEvent]) -> NewRecord:
    """Return an event as a record."""
    return NewRecord(topic, event.user_id.encode(), codec.encode(event))


def request_record(
    topic: str, request: GenerationRequest, codec: Codec[GenerationRequest]
) -> NewRecord:
    """Return a request as a record."""
    return NewRecord(topic, request.user_id.encode(), codec.encode(request))
