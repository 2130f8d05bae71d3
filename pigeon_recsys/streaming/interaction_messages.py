"""Messages of the topic `interactions`: what a producer writes, read with suspicion.

In:  key and value of a record, bytes from anywhere.
Out: a history event, or an `EventError` that says in a word and in a sentence what is wrong.

    {"version": 1, "kind": "interaction", "event_id": "e-17", "user_id": "ada",
     "item_id": "i-3", "event": "like", "at_ms": 1767225600000, "revision": 0}
    {"version": 1, "kind": "take-back", "event_id": "e-17", "user_id": "ada",
     "at_ms": 1767225600000}
    {"version": 1, "kind": "erasure", "user_id": "ada", "at_ms": 1767225600000}

`at_ms` of a take-back is that of the interaction it takes back. Fields that are not known are
ignored, so that producers may be ahead of consumers; a change that old consumers would
misunderstand gets a new version. The key is the user id: one user's events share a partition.
"""

import time
from collections.abc import Callable
from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pigeon_recsys.errors import EventError
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack

MAX_BYTES = 16_384  # of a message; the largest honest one has four ids and some numbers
MAX_AHEAD_MS = 5 * 60_000  # of the reader's clock: clocks differ, but nobody liked tomorrow
VERSION = 1

Id = Annotated[str, Field(min_length=1, max_length=256)]
Time = Annotated[int, Field(ge=0)]


@runtime_checkable
class EventCodec(Protocol):
    """Between history events and the values of records: JSON here, Avro or Protobuf elsewhere."""

    def decode(self, value: bytes) -> HistoryEvent:
        """Return the event. Raises `EventError` for a value that is none."""

    def encode(self, event: HistoryEvent) -> bytes:
        """Return the value; `decode` gives the event back."""


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    version: Literal[1]
    user_id: Id
    at_ms: Time


class InteractionMessage(_Message):
    """A user did something to an item."""

    kind: Literal["interaction"]
    event_id: Id
    item_id: Id
    event: Literal["like", "skip", "neutral"]
    revision: int = Field(default=0, ge=0)


class TakeBackMessage(_Message):
    """An interaction does not count any more."""

    kind: Literal["take-back"]
    event_id: Id


class ErasureMessage(_Message):
    """Everything of a user up to a moment is to be forgotten."""

    kind: Literal["erasure"]


Message = InteractionMessage | TakeBackMessage | ErasureMessage
MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


class JsonEvents:
    """The codec of the messages above."""

    def decode(self, value: bytes) -> HistoryEvent:
        """Return the event. Raises `EventError`: oversized, malformed or wrong-schema."""
        if len(value) > MAX_BYTES:
            raise EventError(
                "oversized", f"{len(value)} bytes, {MAX_BYTES} allowed. Send ids, not contents."
            )
        try:
            message = MESSAGE.validate_json(value)
        except ValidationError as exc:
            raise _schema_error(exc) from exc
        if isinstance(message, InteractionMessage):
            return Interacted(
                message.user_id,
                message.event_id,
                message.at_ms,
                message.item_id,
                message.event,
                message.revision,
            )
        if isinstance(message, TakeBackMessage):
            return TakenBack(message.user_id, message.event_id, message.at_ms)
        return Erased(message.user_id, message.at_ms)

    def encode(self, event: HistoryEvent) -> bytes:
        """Return the event as JSON."""
        common = {"version": VERSION, "user_id": event.user_id, "at_ms": event.at_ms}
        message: Message
        if isinstance(event, Interacted):
            message = InteractionMessage.model_validate(
                {
                    **common,
                    "kind": "interaction",
                    "event_id": event.event_id,
                    "item_id": event.item_id,
                    "event": event.event,
                    "revision": event.revision,
                }
            )
        elif isinstance(event, TakenBack):
            message = TakeBackMessage.model_validate(
                {**common, "kind": "take-back", "event_id": event.event_id}
            )
        else:
            message = ErasureMessage.model_validate({**common, "kind": "erasure"})
        return message.model_dump_json().encode()


class EventReader:
    """Reads records as a consumer must: the value by a codec, the key and the time by rule."""

    def __init__(
        self,
        codec: EventCodec,
        *,
        max_ahead_ms: int = MAX_AHEAD_MS,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._codec = codec
        self._max_ahead_ms = max_ahead_ms
        self._now_ms = now_ms

    def read(self, key: bytes | None, value: bytes | None) -> HistoryEvent:
        """Return a record's event. Raises `EventError`, of the codec's reasons or these.

        `malformed` for a record without a value, `wrong-key` where the key is not the user id,
        `future-dated` where the event lies further ahead than clocks may differ.
        """
        if value is None:
            raise EventError("malformed", "the record has no value. Send an event.")
        event = self._codec.decode(value)
        if key != event.user_id.encode():
            raise EventError(
                "wrong-key",
                f"the key is {'missing' if key is None else 'not the user id'}, so the user's "
                "events may lie in several partitions. Key records by user id in UTF-8.",
            )
        ahead_ms = event.at_ms - self._now_ms()
        if ahead_ms > self._max_ahead_ms:
            raise EventError(
                "future-dated",
                f"at_ms is {event.at_ms}, {ahead_ms / 1000:.0f} s ahead of this clock. Send epoch "
                "milliseconds of when it happened.",
            )
        return event


def _schema_error(exc: ValidationError) -> EventError:
    faults = exc.errors(include_url=False, include_context=False, include_input=False)
    text = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'message'}: {fault['msg']}"
        for fault in faults[:4]
    )
    is_json = faults[0]["type"] != "json_invalid"
    reason = "wrong-schema" if is_json else "malformed"
    return EventError(reason, f"{text}. See `interaction_messages` for the fields.")
