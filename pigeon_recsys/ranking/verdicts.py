"""Why a generated picture is on a slate or is not: a code for programs, a line for people."""

from dataclasses import dataclass
from enum import StrEnum

from pigeon_recsys.ranking.blend_input import Offer


class Code(StrEnum):
    """What decided on a generated picture; each refusal is named after its constraint."""

    PLACED = "placed"
    KILL_SWITCH = "kill_switch"
    SURFACE_OFF = "surface_off"
    SHARE = "share"
    SAME_ID = "same_id"  # as a candidate
    SAME_CONTENT = "same_content"  # as a candidate's or a placed picture
    NEAR_COPY = "near_copy"  # of a candidate's or a placed picture
    MIN_SCORE = "min_score"
    MAX_GENERATED = "max_generated"
    ITEM_CAP = "item_cap"
    USER_CAP = "user_cap"
    ALLOWED_POSITIONS = "allowed_positions"  # none that its rank lets it have
    MIN_DISTANCE = "min_distance"
    WINDOW = "window"
    NEIGHBOURS = "neighbours"  # too alike
    REFERENCE = "reference"  # the item it was made from stands too near
    NOT_ON_SLATE = "not_on_slate"  # the item a creative is for
    PICTURE_TAKEN = "picture_taken"  # its item wears another creative


@dataclass(frozen=True, slots=True)
class Refusal:
    """The constraint that fired, and what broke it."""

    code: Code
    fault: str  # completes "not placed:"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one generated picture."""

    code: Code
    line: str
    position: int | None = None  # where it is shown; None when it is not

    @property
    def is_placed(self) -> bool:
        """Whether the picture is shown."""
        return self.position is not None

    @classmethod
    def placed(cls, offer: Offer, position: int) -> "Verdict":
        """Return the verdict on a picture that is shown."""
        return cls(Code.PLACED, f"{_name(offer)} in place {position + 1}", position)

    @classmethod
    def refused(cls, offer: Offer, refusal: Refusal) -> "Verdict":
        """Return the verdict on a picture that is not shown."""
        return cls(refusal.code, f"{_name(offer)} not placed: {refusal.fault}")


def _name(offer: Offer) -> str:
    if offer.for_item is not None:
        return f"generated picture {offer.item_id} for item {offer.for_item}"
    return f"generated item {offer.item_id}"
