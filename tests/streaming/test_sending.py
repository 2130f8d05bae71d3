"""What a producer sends goes where the user's records lie."""

from pigeon_recsys.history.from_interactions import event_of
from pigeon_recsys.records import LIKE, Interaction, Reference
from pigeon_recsys.streaming.generation_requests import GenerationRequest, JsonRequests
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.sending import event_record, request_record


def test_records_are_keyed_by_user() -> None:
    event = event_of(Interaction("ada", "i1", LIKE, 5))
    record = event_record("events", event, JsonEvents())
    assert (record.topic, record.key, record.partition) == ("events", b"ada", None)
    assert JsonEvents().decode(record.value or b"") == event
    request = GenerationRequest("ada", "r1", 5, Reference("i1"))
    record = request_record("requests", request, JsonRequests())
    assert (record.topic, record.key, record.partition) == ("requests", b"ada", None)
    assert JsonRequests().decode(record.value or b"") == request
