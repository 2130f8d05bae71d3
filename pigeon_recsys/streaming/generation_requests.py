"""Messages of the topic `generation-requests`: somebody asks for an image for a user.

    {"version": 1, "request_id": "r-5", "user_id": "ada", "at_ms": 1767225600000,
     "reference": {"item_id": "i-3", "text": "a cat"}, "seed": 0}

A reference names a catalog item, says a text, or both. The same request again with the same seed
is the same job; another seed asks for another picture of the same. The key is the user id.
"""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from pigeon_recsys.records import Reference
from pigeon_recsys.streaming.messages import VERSION, Id, UserMessage, parse

MAX_TEXT = 1_000  # characters
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """An image is wanted."""

    user_id: str
    request_id: str
    at_ms: int  # epoch milliseconds, UTC
    reference: Reference
    seed: int = 0

    @property
    def order(self) -> tuple[int, str]:
        """Later requests have the greater order, whatever the order of arrival."""
        return self.at_ms, self.request_id


class ReferenceMessage(BaseModel):
    """What the image should show."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)
    item_id: Id | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""

    @model_validator(mode="after")
    def _names_something(self) -> "ReferenceMessage":
        if self.item_id is None and not self.text.strip():
            raise ValueError("needs an item_id, a text, or both")
        return self

    def reference(self) -> Reference:
        """Return the reference it names."""
        return Reference(self.item_id, self.text)


class RequestMessage(UserMessage):
    """One request."""

    request_id: Id
    reference: ReferenceMessage
    seed: int = Field(default=0, ge=0, le=MAX_SEED)


REQUEST = TypeAdapter(RequestMessage)


class JsonRequests:
    """The codec of the messages above."""

    def decode(self, value: bytes) -> GenerationRequest:
        """Return the request. Raises `EventError`: oversized, malformed or wrong-schema."""
        message = parse(REQUEST, value, of="generation_requests")
        return GenerationRequest(
            message.user_id,
            message.request_id,
            message.at_ms,
            message.reference.reference(),
            message.seed,
        )

    def encode(self, request: GenerationRequest) -> bytes:
        """Return the request as JSON."""
        message = RequestMessage.model_validate(
            {
                "version": VERSION,
                "user_id": request.user_id,
                "at_ms": request.at_ms,
                "request_id": request.request_id,
                "reference": {
                    "item_id": request.reference.item_id,
                    "text": request.reference.text,
                },
                "seed": request.seed,
            }
        )
        return message.model_dump_json().encode()
