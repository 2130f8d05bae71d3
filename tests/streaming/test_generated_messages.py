"""Messages of the topic `generated-items`: what is read is what was sent, or the fault is named."""

import base64
import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pigeon_recsys.errors import EventError
from pigeon_recsys.records import GeneratedItem, Provenance, Reference, Vectors
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.streaming.generated_messages import (
    LAST_MS,
    MAX_BYTES,
    MAX_WIDTH,
    GeneratedItemCodec,
    JsonGeneratedItems,
    ProvenanceMessage,
)
from pigeon_recsys.testing.generated_item_store_contract import make_item

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
scores = st.floats(allow_nan=False, allow_infinity=False)
references = st.one_of(
    st.builds(Reference, ids, texts), st.builds(Reference, st.none(), texts.filter(str.strip))
)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
provenances = st.builds(
    Provenance,
    content_hash=hashes,
    model=ids,
    weights_version=ids,
    user_id=ids,
    history_hash=ids,
    history_item_ids=st.lists(ids, max_size=5).map(tuple),
    reference=references,
    reference_mask_ratio=st.floats(0, 1),
    seed=st.integers(-(2**63), 2**64 - 1),
    steps=st.integers(0, 2**31 - 1),
    history_score=scores,
    reference_score=scores,
    checks_passed=st.lists(ids, max_size=3).map(tuple),
    created_ms=st.integers(0, LAST_MS),
)


def unit(vector: Vectors) -> Vectors:
    """Return the vector at length 1, in float32."""
    exact = vector.astype(np.float64)
    normalised: Vectors = (exact / np.linalg.norm(exact)).astype(np.float32)
    return normalised


components = st.floats(-1, 1, width=32)
embeddings = arrays.arrays(np.float32, st.integers(1, 32), elements=components).filter(
    lambda vector: np.abs(vector).max() > 1e-3
)
items = st.builds(GeneratedItem, ids, ids, embeddings.map(unit), ids, ids, provenances)


def message(**changes: Any) -> bytes:
    """Return an item's value with some fields changed; `provenance__seed` is one inside."""
    fields = json.loads(JsonGeneratedItems().encode(make_item()))
    for name, value in changes.items():
        *outer, last = name.split("__")
        place = fields
        for part in outer:
            place = place[part]
        place[last] = value
    return json.dumps(fields).encode()


def base64_of(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, "<f4").tobytes()).decode()


def test_the_json_codec_is_one() -> None:
    assert isinstance(JsonGeneratedItems(), GeneratedItemCodec)


@given(items)
def test_what_is_sent_is_read_exactly(item: GeneratedItem) -> None:
    codec = JsonGeneratedItems()
    value = codec.encode(item)
    read = codec.decode(value)
    assert read == item
    assert read.embedding.dtype == np.float32
    assert read.embedding.tobytes() == item.embedding.tobytes()
    assert codec.encode(read) == value


def test_the_bytes_of_an_item_are_these() -> None:
    """0.6 and 0.8 in float32 are 9A99193F and CDCC4C3F, lowest byte first."""
    value = JsonGeneratedItems().encode(make_item(embedding=np.array([0.6, 0.8], np.float32)))
    assert value.startswith(b'{"version":1,"item_id":"gen-')
    assert b'"embedding":"mpkZP83MTD8="' in value
    assert base64.b64decode("mpkZP83MTD8=").hex() == "9a99193fcdcc4c3f"


def test_all_of_the_provenance_travels() -> None:
    assert [field.name for field in fields(Provenance)] == [*ProvenanceMessage.model_fields]


def test_the_widest_embedding_fits() -> None:
    item = make_item(embedding=unit(np.ones(MAX_WIDTH, np.float32)))
    value = JsonGeneratedItems().encode(item)
    assert len(value) < MAX_BYTES
    assert np.array_equal(JsonGeneratedItems().decode(value).embedding, item.embedding)


def test_what_is_read_can_be_indexed() -> None:
    item = JsonGeneratedItems().decode(message())
    assert item.item_id in FaissIndex.build([item.item_id], item.embedding[None])


def test_fields_of_a_later_producer_are_ignored() -> None:
    assert JsonGeneratedItems().decode(message(colour="red", provenance__gpu="H")) == make_item()


@pytest.mark.parametrize(
    ("value", "reason", "fault"),
    [
        (b"", "malformed", "Invalid JSON"),
        (b"\xff\xfe", "malformed", "Invalid JSON"),
        (b"[]", "wrong-schema", "should be an object"),
        (b" " * (MAX_BYTES + 1), "oversized", f"{MAX_BYTES + 1} bytes, {MAX_BYTES} allowed"),
        (message(version=2), "wrong-schema", "version: Input should be 1"),
        (message(item_id=""), "wrong-schema", "item_id: String should have at least 1"),
        (message(image="x" * 2049), "wrong-schema", "image: String should have at most 2048"),
        (message(job_key=7), "wrong-schema", "job_key: Input should be a valid string"),
        (message(embedding=""), "wrong-schema", f"0 numbers in 1 dimensions, 1 to {MAX_WIDTH}"),
        (message(embedding="é"), "wrong-schema", "embedding: .*Send Base64 of little-endian"),
        (message(embedding="AAA="), "wrong-schema", "buffer size must be a multiple of element"),
        (message(embedding="A" * 21_852), "wrong-schema", "embedding: String should have at most"),
        (message(embedding=base64_of(1, 1)), "wrong-schema", "its length is 1.414, not 1"),
        (message(embedding=base64_of(1, np.nan)), "wrong-schema", "its length is nan, not 1"),
        (message(embedding=base64_of(np.inf)), "wrong-schema", "its length is inf, not 1"),
        (message(embedding=base64_of(3e38)), "wrong-schema", "its length is inf, not 1"),
        (message(provenance={}), "wrong-schema", "provenance.content_hash: Field required"),
        (message(provenance__content_hash="a/b"), "wrong-schema", "content_hash: String should ma"),
        (message(provenance__created_ms=LAST_MS + 1), "wrong-schema", "created_ms: Input should"),
        (message(provenance__seed=2**64), "wrong-schema", "seed: Input should be less than"),
        (message(provenance__history_score=np.nan), "wrong-schema", "history_score: .*finite"),
        (
            message(provenance__reference={"item_id": None, "text": " "}),
            "wrong-schema",
            "provenance.reference: .*needs an item_id, a text, or both",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    value: bytes, reason: str, fault: str
) -> None:
    with pytest.raises(EventError, match=fault) as refused:
        JsonGeneratedItems().decode(value)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (make_item(embedding=np.array([1, 1], np.float32)), "its length is 1.414, not 1"),
        (make_item(embedding=np.eye(2, dtype=np.float32)), "4 numbers in 2 dimensions"),
        (replace(make_item(), job_key=""), "job_key: String should have at least 1"),
        (replace(make_item(), reason="\ud800"), "reason: .*(surrogate|unicode|valid string)"),
        (
            replace(
                make_item(),
                provenance=replace(make_item().provenance, history_item_ids=("i" * 256,) * 300),
            ),
            f"bytes, {MAX_BYTES} allowed",
        ),
    ],
)
def test_nothing_is_sent_that_no_reader_takes(item: GeneratedItem, fault: str) -> None:
    with pytest.raises(EventError, match=fault):
        JsonGeneratedItems().encode(item)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(value: bytes) -> None:
    with pytest.raises(EventError):
        JsonGeneratedItems().decode(value)
