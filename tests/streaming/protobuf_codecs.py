"""A set of codecs in Protobuf, as a team would write one: what `--codec NAME` may name.

In:  events, requests, items; or the values of records.
Out: the bytes of Protobuf messages; or what they say. No JSON reader can read them.

The messages are declared here instead of compiled from a `.proto` file. Fields that nobody knows
are ignored, as Protobuf does; what the messages cannot say by their types is checked after them.
"""

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from pigeon_recsys.errors import EventError
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.records import GeneratedItem, Reference
from pigeon_recsys.streaming.codecs import Codecs
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.generation_requests import GenerationRequest
from pigeon_recsys.streaming.messages import MAX_BYTES, VERSION, check_size

TEXT, NUMBER, BYTES = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_BYTES,
)
FIELDS = {
    "Event": {
        "version": NUMBER, "kind": TEXT, "user_id": TEXT, "at_ms": NUMBER, "event_id": TEXT,
        "item_id": TEXT, "event": TEXT, "revision": NUMBER,
    },
    "Request": {
        "version": NUMBER, "user_id": TEXT, "at_ms": NUMBER, "request_id": TEXT, "item_id": TEXT,
        "text": TEXT, "seed": NUMBER,
    },
    "Item": {"version": NUMBER, "content": BYTES},
}  # fmt: skip
INTERACTION, TAKE_BACK, ERASURE = "interaction", "take-back", "erasure"


@cache
def _messages() -> dict[str, Any]:
    """Return the class of each message."""
    file = FileDescriptorProto(name="pigeon_test.proto", package="pigeon_test", syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            message.field.add(name=field, number=number, type=kind, label=1)
    pool = DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"pigeon_test.{name}") for name in FIELDS}
    return {name: GetMessageClass(each) for name, each in found.items()}


def _encoded(name: str, **fields: Any) -> bytes:
    value: bytes = _messages()[name](version=VERSION, **fields).SerializeToString()
    return value


def _decoded(name: str, value: bytes, max_bytes: int = MAX_BYTES) -> Any:
    check_size(value, max_bytes)
    try:
        message = _messages()[name].FromString(value)
    except DecodeError as exc:
        raise EventError("malformed", f"no Protobuf message of type {name}. Send one.") from exc
    if message.version != VERSION:
        raise EventError("wrong-schema", f"version {message.version}, {VERSION} expected.")
    return message


class ProtobufEvents:
    """Implements `Codec[HistoryEvent]`."""

    def encode(self, event: HistoryEvent) -> bytes:
        common = {"user_id": event.user_id, "at_ms": event.at_ms}
        match event:
            case Interacted():
                told = {"event_id": event.event_id, "item_id": event.item_id, "event": event.event}
                return _encoded(
                    "Event", kind=INTERACTION, revision=event.revision, **told, **common
                )
            case TakenBack():
                return _encoded("Event", kind=TAKE_BACK, event_id=event.event_id, **common)
        return _encoded("Event", kind=ERASURE, **common)

    def decode(self, value: bytes) -> HistoryEvent:
        told = _decoded("Event", value)
        try:
            if told.kind == INTERACTION:
                return Interacted(
                    told.user_id, told.event_id, told.at_ms, told.item_id, told.event, told.revision
                )
        except ValueError as exc:
            raise EventError("wrong-schema", str(exc)) from exc
        if told.kind == TAKE_BACK:
            return TakenBack(told.user_id, told.event_id, told.at_ms)
        if told.kind == ERASURE:
            return Erased(told.user_id, told.at_ms)
        raise EventError("wrong-schema", f"there is no kind {told.kind!r} of events.")


class ProtobufRequests:
    """Implements `Codec[GenerationRequest]`."""

    def encode(self, request: GenerationRequest) -> bytes:
        return _encoded(
            "Request",
            user_id=request.user_id,
            at_ms=request.at_ms,
            request_id=request.request_id,
            item_id=request.reference.item_id or "",
            text=request.reference.text,
            seed=request.seed,
        )

    def decode(self, value: bytes) -> GenerationRequest:
        told = _decoded("Request", value)
        try:
            wanted = Reference(told.item_id or None, told.text)
        except ValueError as exc:
            raise EventError("wrong-schema", str(exc)) from exc
        return GenerationRequest(told.user_id, told.request_id, told.at_ms, wanted, told.seed)


class ProtobufItems:
    """Implements `GeneratedItemCodec`; the item itself is one field, which our own codec reads."""

    def encode(self, item: GeneratedItem) -> bytes:
        return _encoded("Item", content=JsonGeneratedItems().encode(item))

    def decode(self, value: bytes) -> GeneratedItem:
        told = _decoded("Item", value, max_bytes=1 << 20)
        return JsonGeneratedItems().decode(told.content)


def protobuf_codecs() -> Codecs:
    """Return the set: what the entry point names."""
    return Codecs(ProtobufRequests(), ProtobufItems(), ProtobufEvents())
