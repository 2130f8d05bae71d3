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

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.streaming.messages import VERSION, Id, UserMessage, parse


class InteractionMessage(UserMessage):
    """A user did something to an item."""

    kind: Literal["interaction"]
    event_id: Id
    item_id: Id
    event: Literal["like", "skip", "neutral"]
    revision: int = Field(default=0, ge=0)


class TakeBackMessage(UserMessage):
    """An interaction does not count any more."""

    kind: Literal["take-back"]
    event_id: Id


class ErasureMessage(UserMessage):
    """Everything of a user up to a moment is to be forgotten."""

    kind: Literal["erasure"]


Message = InteractionMessage | TakeBackMessage | ErasureMessage
MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


class JsonEvents:
    """The codec of the messages above."""

    def decode(self, value: bytes) -> HistoryEvent:
        """Return the event. Raises `EventError`: oversized, malformed or wrong-schema."""
        message = parse(MESSAGE, value, of="interaction_messages")
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
