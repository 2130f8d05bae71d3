"""Messages of the topic `interactions`: what is read is what was sent, or the fault is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.errors import EventError
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.records import EVENTS, LIKE
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import MAX_AHEAD_MS, MAX_BYTES, Codec, MessageReader

NOW_MS = 1_767_225_600_000
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
times = st.integers(0, NOW_MS)
events = st.one_of(
    st.builds(Interacted, ids, ids, times, ids, st.sampled_from(EVENTS), st.integers(0, 9)),
    st.builds(TakenBack, ids, ids, times),
    st.builds(Erased, ids, times),
)


def reader() -> MessageReader[HistoryEvent]:
    """Return a reader whose clock stands still."""
    return MessageReader(JsonEvents(), now_ms=lambda: NOW_MS)


def message(**changes: Any) -> bytes:
    """Return an interaction's value with some fields changed; None leaves one out."""
    fields = {
        "version": 1,
        "kind": "interaction",
        "event_id": "e-17",
        "user_id": "ada",
        "item_id": "i-3",
        "event": "like",
        "at_ms": NOW_MS,
    }
    fields.update(changes)
    return json.dumps({name: each for name, each in fields.items() if each is not None}).encode()


@given(events)
def test_what_is_sent_is_read(event: HistoryEvent) -> None:
    value = JsonEvents().encode(event)
    assert reader().read(event.user_id.encode(), value) == event


def test_the_json_codec_is_one() -> None:
    assert isinstance(JsonEvents(), Codec)


def test_a_revision_left_out_is_the_first() -> None:
    assert reader().read(b"ada", message()) == Interacted("ada", "e-17", NOW_MS, "i-3", LIKE, 0)


def test_fields_of_a_later_producer_are_ignored() -> None:
    assert reader().read(b"ada", message(device="phone")) == reader().read(b"ada", message())


@pytest.mark.parametrize(
    ("value", "reason", "fault"),
    [
        (None, "malformed", "no value"),
        (b"", "malformed", "Invalid JSON"),
        (b"\xff\xfe", "malformed", "Invalid JSON"),
        (b'{"version": 1', "malformed", "Invalid JSON"),
        (b"[]", "wrong-schema", "should be an object"),
        (message(kind="love"), "wrong-schema", "'love' found"),
        (message(version=2), "wrong-schema", "version: Input should be 1"),
        (message(at_ms="1"), "wrong-schema", "at_ms: Input should be a valid integer"),
        (message(at_ms=-1), "wrong-schema", "at_ms: Input should be greater than or equal to 0"),
        (message(event="love"), "wrong-schema", "event: Input should be 'like'"),
        (message(item_id=None), "wrong-schema", "item_id: Field required"),
        (message(user_id=""), "wrong-schema", "user_id: String should have at least 1"),
        (message(event_id="e" * 257), "wrong-schema", "event_id: String should have at most 256"),
        (b" " * (MAX_BYTES + 1), "oversized", f"{MAX_BYTES + 1} bytes, {MAX_BYTES} allowed"),
        (message(at_ms=NOW_MS + MAX_AHEAD_MS + 1), "future-dated", "300 s ahead"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    value: bytes | None, reason: str, fault: str
) -> None:
    with pytest.raises(EventError, match=fault) as refused:
        reader().read(b"ada", value)
    assert refused.value.reason == reason


@pytest.mark.parametrize("key", [None, b"", b"bob", b"ada "])
def test_a_record_under_another_key_is_refused(key: bytes | None) -> None:
    with pytest.raises(EventError, match="Key records by user id") as refused:
        reader().read(key, message())
    assert refused.value.reason == "wrong-key"


def test_clocks_may_differ_a_little() -> None:
    event = reader().read(b"ada", message(at_ms=NOW_MS + MAX_AHEAD_MS))
    assert event.at_ms == NOW_MS + MAX_AHEAD_MS


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(value: bytes) -> None:
    with pytest.raises(EventError):
        reader().read(b"ada", value)
