"""Messages of the topic `exposures`: an item of a slate was shown to a user.

    {"version": 1, "user_id": "ada", "at_ms": 1767225600000, "request_id": "slate-9",
     "item_id": "gen-3fc9a1b2c3d4e5f6", "position": 3, "creative_id": null}

`creative_id` is the generated picture that a catalog item wore, and may be left out. Whoever serves
the feed writes them, keyed by user; what was done with an item shown comes back as an interaction
with the same item id. Position 0 is shown first.
"""

from pydantic import Field, TypeAdapter

from pigeon_recsys.decisions import Exposure
from pigeon_recsys.streaming.messages import VERSION, Id, UserMessage, parse


class ExposureMessage(UserMessage):
    """One exposure."""

    request_id: Id
    item_id: Id
    position: int = Field(ge=0)
    creative_id: Id | None = None


EXPOSURE = TypeAdapter(ExposureMessage)


class JsonExposures:
    """The codec of the message above."""

    def decode(self, value: bytes) -> Exposure:
        """Return the exposure. Raises `EventError`: oversized, malformed or wrong-schema."""
        message = parse(EXPOSURE, value, of="exposure_messages")
        told = message.model_dump(exclude={"version"})
        return Exposure(**told)

    def encode(self, exposure: Exposure) -> bytes:
        """Return the exposure as JSON."""
        message = ExposureMessage(
            version=VERSION,
            user_id=exposure.user_id,
            at_ms=exposure.at_ms,
            request_id=exposure.request_id,
            item_id=exposure.item_id,
            position=exposure.position,
            creative_id=exposure.creative_id,
        )
        return message.model_dump_json().encode()
