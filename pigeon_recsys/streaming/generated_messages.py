"""Messages of the topic `generated-items`: pictures that are ready to be shown.

In:  a generated item to send, or the value of a record, read with suspicion.
Out: the same bytes for the same item, always; or the item, exactly as it was sent.

    {"version": 1, "item_id": "gen-3fc9a1b2c3d4e5f6",
     "image": "s3://pictures/3f/3fc9….png", "embedding": "AACAPwAAAAA=",
     "job_key": "9f86d0…", "reason": "new likes",
     "provenance": {"content_hash": "3fc9…", "model": "mini", "weights_version": "…",
       "user_id": "ada", "history_hash": "…", "history_item_ids": ["i-1", "i-2"],
       "reference": {"item_id": "i-3", "text": ""}, "reference_mask_ratio": 0.4, "seed": 7,
       "steps": 4, "history_score": 0.8, "reference_score": 0.7,
       "checks_passed": ["not_blank"], "created_ms": 1767225600000}}

`embedding` is Base64 of little-endian float32 numbers: exact, and a quarter of their size in
decimal. It has unit length. Fields that are not known are ignored, so that producers may be ahead
of consumers; a change that old consumers would misunderstand gets a new version.
"""

import base64
import binascii
from dataclasses import asdict
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pigeon_recsys.errors import EventError
from pigeon_recsys.records import GeneratedItem, Provenance, Vectors
from pigeon_recsys.retrieval.checked_vectors import LENGTH_TOLERANCE
from pigeon_recsys.streaming.generation_requests import ReferenceMessage
from pigeon_recsys.streaming.messages import VERSION, Id, check_size, parse, schema_error

MAX_BYTES = 65_536  # of a message; the widest embedding takes a third of it
MAX_WIDTH = 4_096  # numbers of an embedding
MAX_BASE64 = 4 * -(-4 * MAX_WIDTH // 3)  # characters of the widest embedding
MAX_IDS = 1_000  # history items, checks
LAST_MS = 9_214_646_399_999  # end of 2261: stores that count nanoseconds end in 2262
NUMBER = np.dtype("<f4")

Ids = Annotated[tuple[Id, ...], Field(max_length=MAX_IDS)]
Url = Annotated[str, Field(min_length=1, max_length=2_048)]
Score = Annotated[float, Field(allow_inf_nan=False)]


@runtime_checkable
class GeneratedItemCodec(Protocol):
    """Between generated items and the values of records: JSON here, Avro or Protobuf elsewhere."""

    def encode(self, item: GeneratedItem) -> bytes:
        """Return the value; `decode` gives the item back. `EventError` for one it would refuse."""

    def decode(self, value: bytes) -> GeneratedItem:
        """Return the item. Raises `EventError` for a value that is none."""


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class ProvenanceMessage(_Message):
    """Where the picture comes from."""

    content_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    model: Id
    weights_version: Id
    user_id: Id
    history_hash: Id
    history_item_ids: Ids
    reference: ReferenceMessage
    reference_mask_ratio: float = Field(ge=0, le=1)
    seed: int = Field(ge=-(2**63), lt=2**64)
    steps: int = Field(ge=0, lt=2**31)
    history_score: Score
    reference_score: Score
    checks_passed: Ids
    created_ms: int = Field(ge=0, le=LAST_MS)
    token_seed: int | None = Field(default=None, ge=-(2**63), lt=2**64)  # of a redrawn picture

    def to_record(self) -> Provenance:
        """Return the provenance."""
        fields = self.model_dump(exclude={"reference"})
        return Provenance(**fields, reference=self.reference.reference())


class GeneratedItemMessage(_Message):
    """A picture that is ready to be shown."""

    version: Literal[1]
    item_id: Id
    image: Url
    embedding: str = Field(max_length=MAX_BASE64)
    job_key: Id
    reason: Id
    provenance: ProvenanceMessage


MESSAGE = TypeAdapter(GeneratedItemMessage)
OF = "generated_messages"


class JsonGeneratedItems:
    """The codec of the message above."""

    def encode(self, item: GeneratedItem) -> bytes:
        """Return the item as JSON. Raises `EventError` for what `decode` would refuse."""
        fields = {
            "version": VERSION,
            "item_id": item.item_id,
            "image": item.image,
            "embedding": _to_text(item.embedding),
            "job_key": item.job_key,
            "reason": item.reason,
            "provenance": asdict(item.provenance),
        }
        try:
            value = GeneratedItemMessage.model_validate(fields).model_dump_json().encode()
        except ValidationError as exc:
            raise schema_error(exc, OF) from exc
        check_size(value, MAX_BYTES)
        return value

    def decode(self, value: bytes) -> GeneratedItem:
        """Return the item. Raises `EventError`: oversized, malformed or wrong-schema."""
        message = parse(MESSAGE, value, of=OF, max_bytes=MAX_BYTES)
        return GeneratedItem(
            item_id=message.item_id,
            image=message.image,
            embedding=_from_text(message.embedding),
            job_key=message.job_key,
            reason=message.reason,
            provenance=message.provenance.to_record(),
        )


def _to_text(embedding: Vectors) -> str:
    return base64.b64encode(_checked(embedding).astype(NUMBER).tobytes()).decode()


def _from_text(text: str) -> Vectors:
    try:
        numbers = base64.b64decode(text, validate=True)
        embedding = np.frombuffer(numbers, NUMBER)
    except (binascii.Error, ValueError) as exc:
        raise EventError(
            "wrong-schema",
            f"embedding: {exc}. Send Base64 of little-endian float32 numbers.",
        ) from exc
    return _checked(embedding.astype(np.float32))


def _checked(embedding: Vectors) -> Vectors:
    """Return an embedding that an index takes; raise `EventError` for any other."""
    if embedding.ndim != 1 or not 1 <= len(embedding) <= MAX_WIDTH:
        raise EventError(
            "wrong-schema",
            f"embedding: {embedding.size} numbers in {embedding.ndim} dimensions, "
            f"1 to {MAX_WIDTH} in one allowed. Send the embedder's vector of the picture.",
        )
    with np.errstate(over="ignore"):
        length = float(np.linalg.norm(embedding[None], axis=1)[0])  # as an index measures it
    if not abs(length - 1) <= LENGTH_TOLERANCE:  # NaN fails this too
        raise EventError(
            "wrong-schema",
            f"embedding: its length is {length:.4g}, not 1. Normalise vectors first.",
        )
    return embedding
