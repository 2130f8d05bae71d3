"""Messages about users, read with suspicion: what the topics that workers read have in common.

In:  key and value of a record, bytes from anywhere.
Out: what the value says, or an `EventError` that says in a word and in a sentence what is wrong.

A value is JSON with a version. Fields that are not known are ignored, so that producers may be
ahead of consumers; a change that old consumers would misunderstand gets a new version. The key is
the user id: what concerns one user shares a partition.
"""

import time
from collections.abc import Callable
from typing import Annotated, Final, Generic, Literal, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pigeon_recsys.errors import EventError

MAX_BYTES = 16_384  # of a message; the largest honest one has some ids, numbers and a sentence
MAX_AHEAD_MS = 5 * 60_000  # of the reader's clock: clocks differ, but nobody liked tomorrow
VERSION: Final = 1

Id = Annotated[str, Field(min_length=1, max_length=256)]
Time = Annotated[int, Field(ge=0)]


class UserMessage(BaseModel):
    """What every message says; `at_ms` is when it happened, epoch milliseconds, UTC."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    version: Literal[1]
    user_id: Id
    at_ms: Time


class AboutUser(Protocol):
    """What a message becomes: an event, a request."""

    @property
    def user_id(self) -> str:
        """Whom it is about."""

    @property
    def at_ms(self) -> int:
        """When it happened."""


Content = TypeVar("Content", bound=AboutUser)
Message = TypeVar("Message")


@runtime_checkable
class Codec(Protocol[Content]):
    """Between contents and the values of records: JSON here, Avro or Protobuf elsewhere."""

    def decode(self, value: bytes) -> Content:
        """Return the content. Raises `EventError` for a value that is none."""

    def encode(self, content: Content, /) -> bytes:
        """Return the value; `decode` gives the content back."""


class MessageReader(Generic[Content]):
    """Reads records as a consumer must: the value by a codec, the key and the time by rule."""

    def __init__(
        self,
        codec: Codec[Content],
        *,
        max_ahead_ms: int = MAX_AHEAD_MS,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._codec = codec
        self._max_ahead_ms = max_ahead_ms
        self._now_ms = now_ms

    def read(self, key: bytes | None, value: bytes | None) -> Content:
        """Return what a record says. Raises `EventError`, of the codec's reasons or these.

        `malformed` for a record without a value, `wrong-key` where the key is not the user id,
        `future-dated` where it lies further ahead than clocks may differ.
        """
        if value is None:
            raise EventError("malformed", "the record has no value. Send a message.")
        content = self._codec.decode(value)
        if key != content.user_id.encode():
            raise EventError(
                "wrong-key",
                f"the key is {'missing' if key is None else 'not the user id'}, so what concerns "
                "the user may lie in several partitions. Key records by user id in UTF-8.",
            )
        ahead_ms = content.at_ms - self._now_ms()
        if ahead_ms > self._max_ahead_ms:
            raise EventError(
                "future-dated",
                f"at_ms is {content.at_ms}, {ahead_ms / 1000:.0f} s ahead of this clock. Send "
                "epoch milliseconds of when it happened.",
            )
        return content


def parse(
    adapter: TypeAdapter[Message], value: bytes, *, of: str, max_bytes: int = MAX_BYTES
) -> Message:
    """Return a value's message; `of` names the module that describes it.

    Raises `EventError`: oversized, malformed or wrong-schema.
    """
    check_size(value, max_bytes)
    try:
        return adapter.validate_json(value)
    except ValidationError as exc:
        raise schema_error(exc, of) from exc


def check_size(value: bytes, max_bytes: int) -> None:
    """Raise `EventError` for a value that no reader takes."""
    if len(value) > max_bytes:
        raise EventError(
            "oversized", f"{len(value)} bytes, {max_bytes} allowed. Send ids, not contents."
        )


def schema_error(exc: ValidationError, of: str) -> EventError:
    """Return what is wrong with a message, without the values, which may be anything."""
    faults = exc.errors(include_url=False, include_context=False, include_input=False)
    text = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'message'}: {fault['msg']}"
        for fault in faults[:4]
    )
    is_json = faults[0]["type"] != "json_invalid"
    reason = "wrong-schema" if is_json else "malformed"
    return EventError(reason, f"{text}. See `{of}` for the fields.")
