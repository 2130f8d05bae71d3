"""Requests and exposures: what is read is what was sent, or the fault is named."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.decisions import Exposure
from pigeon_recsys.errors import EventError
from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.exposure_messages import JsonExposures
from pigeon_recsys.streaming.generation_requests import (
    MAX_SEED,
    MAX_TEXT,
    GenerationRequest,
    JsonRequests,
)

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_TEXT)
times = st.integers(0, 2**45)
references = st.one_of(
    st.builds(Reference, ids, texts), st.builds(Reference, text=texts.filter(str.strip))
)


@given(st.builds(GenerationRequest, ids, ids, times, references, st.integers(0, MAX_SEED)))
def test_a_request_comes_back_as_it_was_sent(request: GenerationRequest) -> None:
    assert JsonRequests().decode(JsonRequests().encode(request)) == request


@given(st.builds(Exposure, ids, times, ids, ids, st.integers(0, 99), st.none() | ids))
def test_an_exposure_comes_back_as_it_was_sent(exposure: Exposure) -> None:
    assert JsonExposures().decode(JsonExposures().encode(exposure)) == exposure


def request_with(**changed: Any) -> bytes:
    message = {
        "version": 1,
        "user_id": "ada",
        "at_ms": 1,
        "request_id": "r1",
        "reference": {"item_id": "i1"},
    }
    return json.dumps({**message, **changed}).encode()


def test_what_is_not_said_has_a_default_and_what_is_not_known_is_ignored() -> None:
    request = JsonRequests().decode(request_with(mood="blue"))
    assert request == GenerationRequest("ada", "r1", 1, Reference("i1"), 0)


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        (b"{", "malformed", "Invalid JSON"),
        (request_with(version=2), "wrong-schema", "version"),
        (request_with(reference={}), "wrong-schema", "needs an item_id, a text, or both"),
        (request_with(reference={"text": "  "}), "wrong-schema", "needs an item_id"),
        (request_with(reference={"text": "x" * 1001}), "wrong-schema", "at most 1000"),
        (request_with(seed=-1), "wrong-schema", "seed"),
        (request_with(user_id=""), "wrong-schema", "user_id"),
        (request_with(at_ms="1"), "wrong-schema", "at_ms"),
        (b" " * 20_000, "oversized", "20000 bytes, 16384 allowed"),
    ],
)
def test_a_request_that_is_none_says_why(value: bytes, reason: str, says: str) -> None:
    with pytest.raises(EventError, match=says) as caught:
        JsonRequests().decode(value)
    assert caught.value.reason == reason


def test_an_exposure_above_the_first_place_is_refused() -> None:
    good = json.loads(JsonExposures().encode(Exposure("ada", 1, "r", "i", 0)))
    with pytest.raises(EventError, match="position"):
        JsonExposures().decode(json.dumps({**good, "position": -1}).encode())
