"""What a producer sends: the same interaction is the same event, and two are two."""

from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE, Interaction
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.sending import event_record, events_of

ROW = Interaction("ada", "i1", LIKE, 5)


def test_events_sent_again_count_once_and_equal_ones_count_apart() -> None:
    rows = [ROW, ROW, Interaction("ada", "i2", LIKE, 5)]
    once = list(events_of(rows))
    assert once == list(events_of(rows))
    assert len({event.event_id for event in once}) == 3
    state = HistoryState.empty("ada").merged([*once, *once])
    assert sorted(state.history().item_ids) == ["i1", "i1", "i2"]


def test_a_record_is_keyed_by_user() -> None:
    (event,) = events_of([ROW])
    record = event_record("events", event, JsonEvents())
    assert (record.topic, record.key, record.partition) == ("events", b"ada", None)
    assert JsonEvents().decode(record.value or b"") == event
