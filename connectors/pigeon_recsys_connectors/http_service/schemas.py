"""What requests and answers look like: parsed strictly, all faults at once, never echoed.

In:  bodies of requests, as bytes.
Out: records for the service; and the service's records as answers.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from pigeon_recsys.records import GENERATED_PREFIX, Reference, ScoredItem, SlotRequest
from pigeon_recsys.service.feedback import MAX_POSITION, Report
from pigeon_recsys.slot.request import MAX_ID_CHARS, MAX_SEED, MAX_SLATE, MAX_TEXT_CHARS

MAX_REPORTS = 1_000  # of one request
MAX_MS = 9_214_646_399_999  # end of 2261: stores that count nanoseconds end in 2262
PLAIN = r"^[^\x00-\x1f\x7f]+$"  # no control characters: some stores cannot hold them

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_CHARS, pattern=PLAIN)]
Score = Annotated[float, Field(allow_inf_nan=False)]


def _not_generated(item_id: str) -> str:
    if item_id.startswith(GENERATED_PREFIX):
        raise PydanticCustomError(
            "generated_candidate",
            "must not begin with 'gen-': the slot finds generated items itself",
        )
    return item_id


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ReferencePost(_Request):
    """What a generated picture should show: an item's picture, a text, or both."""

    item_id: Id | None = Field(None, description="A catalog item that it should show.")
    text: str = Field("", max_length=MAX_TEXT_CHARS, description="Words that it should show.")

    @model_validator(mode="after")
    def _says_something(self) -> "ReferencePost":
        if self.item_id is None and not self.text.strip():
            raise PydanticCustomError("empty_reference", "needs an item_id, a text, or both")
        return self

    def to_record(self) -> Reference:
        """Return the reference."""
        return Reference(self.item_id, self.text)


class CandidatePost(_Request):
    """One item of the caller's own ranking."""

    item_id: Annotated[Id, AfterValidator(_not_generated)] = Field(
        description="Any id but a generated item's; one that the catalog lacks stays in its place."
    )
    score: Score = Field(description="On the caller's scale; larger is better.")


class SlatePost(_Request):
    """A user's feed, as the caller ranked it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": "r-81f3",
                    "user_id": "ada",
                    "surface": "home",
                    "candidates": [
                        {"item_id": "item-08", "score": 3.1},
                        {"item_id": "item-09", "score": 2.4},
                    ],
                    "slate_size": 10,
                    "deadline_ms": 50,
                }
            ]
        }
    )

    user_id: Id = Field(description="Whose feed it is; unknown users get the caller's own slate.")
    request_id: Id | None = Field(
        None, description="Joins the slate to its feedback; made up where it is missing."
    )
    surface: Id = Field("feed", description="Where it is shown, as the settings name it.")
    candidates: list[CandidatePost] = Field(
        default_factory=list,
        description="In their order; of a repeated id the first counts. None: the index is asked.",
    )
    reference: ReferencePost | None = Field(
        None, description="What a picture made for it should show; else the best candidate."
    )
    slate_size: int = Field(10, ge=1, le=MAX_SLATE, description="Positions, at most.")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Another seed, another picture.")
    deadline_ms: float | None = Field(
        None,
        allow_inf_nan=False,
        description="From the arrival of the request; at 0 or below the caller's own slate "
        "comes back at once.",
    )

    def to_record(self, request_id: str, deadline_ms: float) -> SlotRequest:
        """Return the request with what it left out."""
        return SlotRequest(
            request_id=request_id,
            user_id=self.user_id,
            reference=None if self.reference is None else self.reference.to_record(),
            candidates=tuple(ScoredItem(each.item_id, each.score) for each in self.candidates),
            slate_size=self.slate_size,
            seed=self.seed,
            surface=self.surface,
            deadline_ms=deadline_ms,
        )


def slate_post(max_candidates: int, max_deadline_ms: float) -> type[SlatePost]:
    """Return the model of a slate's request with the limits of one service."""
    known = SlatePost.model_fields
    fields: dict[str, Any] = {
        "candidates": (
            Annotated[list[CandidatePost], Field(max_length=max_candidates)],
            known["candidates"],
        ),
        "deadline_ms": (
            Annotated[float, Field(le=max_deadline_ms)] | None,
            known["deadline_ms"],
        ),
    }
    return create_model("SlatePost", __base__=SlatePost, __doc__=SlatePost.__doc__, **fields)


class GenerationPost(_Request):
    """A picture that is wanted, and can be waited for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"user_id": "ada", "reference": {"text": "a happy cake"}, "seed": 7}]
        }
    )

    user_id: Id = Field(description="Whose likes it is made from; must have some.")
    reference: ReferencePost = Field(description="What it should show.")
    seed: int = Field(0, ge=0, le=MAX_SEED, description="Another seed, another picture.")


class ReportPost(_Request):
    """One thing that happened to one item of a slate."""

    user_id: Id = Field(description="Whose slate it was.")
    request_id: Id = Field(description="Of the slate.")
    item_id: Id = Field(description="As the slate's placement names it.")
    creative_id: Id | None = Field(
        None, description="The placement's, where it has one: frequency caps count it."
    )
    kind: Literal["shown", "click", "like", "skip", "hide"] = Field(
        description="What happened: it was shown, or what the user did."
    )
    at_ms: int = Field(ge=0, le=MAX_MS, description="Epoch milliseconds, UTC.")
    position: int | None = Field(
        None, ge=0, le=MAX_POSITION, description="0 is shown first; needed of what was shown."
    )

    @model_validator(mode="after")
    def _says_where(self) -> "ReportPost":
        if self.kind == "shown" and self.position is None:
            raise PydanticCustomError(
                "missing_position", "position must say where the item was shown, 0 first"
            )
        return self

    def to_record(self) -> Report:
        """Return the report."""
        return Report(**self.model_dump())


class ExposuresPost(_Request):
    """What became of slates; all of it is taken, or nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reports": [
                        {
                            "user_id": "ada",
                            "request_id": "r-81f3",
                            "item_id": "item-08",
                            "kind": "shown",
                            "at_ms": 1_767_225_600_000,
                            "position": 0,
                        }
                    ]
                }
            ]
        }
    )

    reports: list[ReportPost] = Field(
        min_length=1, max_length=MAX_REPORTS, description="In any order, of any slates and users."
    )
