"""Messages of the topics `decisions` and `outcomes`; those of `exposures` are beside them.

    {"version": 1, "user_id": "ada", "at_ms": 1767225600000, "request_id": "slate-9",
     "item_id": "gen-3fc9a1b2c3d4e5f6", "kind": "like", "event": "like"}

A decision has the fields of `decisions.Decision` under their own names. The key is the user id as
the message says it: a word in its place where user ids are hashed. Fields that are not known are
ignored; a change that old consumers would misunderstand gets a new version.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pigeon_recsys.decisions import (
    MAX_CANDIDATES,
    MAX_OFFERED,
    MAX_PLACEMENTS,
    MAX_TEXT,
    Decision,
    Offered,
    Outcome,
    fields_of,
)
from pigeon_recsys.errors import EventError
from pigeon_recsys.records import ItemKind, Placement
from pigeon_recsys.streaming.messages import (
    VERSION,
    Id,
    UserMessage,
    check_size,
    parse,
    schema_error,
)

MAX_BYTES = 1_000_000  # of a message; brokers take 1,048,588 unless told otherwise
OF = "decision_messages"

Name = Annotated[str, Field(max_length=256)]
Line = Annotated[str, Field(max_length=MAX_TEXT)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Chance = Annotated[float, Field(ge=0, le=1)]
Numbers = dict[Name, Number]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class PlacementPart(_Part):
    """One position of the slate."""

    position: int = Field(ge=0)
    item_id: Id
    score: Number
    is_generated: bool
    probability: Chance | None = None
    creative_id: Id | None = None


class OfferedPart(_Part):
    """One generated picture that was considered."""

    item_id: Id
    kind: ItemKind
    source: Name
    score: Number | None
    probability: Chance | None
    code: Name
    line: Line
    propensity: Chance | None = None


class DecisionMessage(UserMessage):
    """One slate."""

    request_id: Id
    surface: Name
    action: Id | None
    propensity: Chance
    slot_propensity: Chance
    rung: Name
    reason: Line
    placements: Annotated[tuple[PlacementPart, ...], Field(max_length=MAX_PLACEMENTS)]
    num_candidates: int = Field(ge=0)
    candidate_ids: Annotated[tuple[Id, ...], Field(max_length=MAX_CANDIDATES)]
    candidate_scores: tuple[Number, ...]
    candidate_probabilities: tuple[Chance | None, ...]
    offered: Annotated[tuple[OfferedPart, ...], Field(max_length=MAX_OFFERED)] = ()
    experiment: Name = ""
    bucket: Name = ""
    context: Numbers = Field(default_factory=dict)
    versions: dict[Name, Line] = Field(default_factory=dict)
    history_hash: Name = ""
    latency_ms: Numbers = Field(default_factory=dict)
    total_ms: Number = 0.0
    deadline_ms: Number | None = None
    candidate_raw_scores: tuple[Number | None, ...] = ()


class OutcomeMessage(UserMessage):
    """One outcome."""

    request_id: Id
    item_id: Id
    kind: Literal["click", "like", "skip", "hide"]
    event: Literal["like", "skip"] | None = None


DECISION, OUTCOME = TypeAdapter(DecisionMessage), TypeAdapter(OutcomeMessage)


class JsonDecisions:
    """The codec of decisions."""

    def decode(self, value: bytes) -> Decision:
        """Return the decision. Raises `EventError`: oversized, malformed or wrong-schema."""
        found = parse(DECISION, value, of=OF, max_bytes=MAX_BYTES).model_dump(exclude={"version"})
        placements = tuple(Placement(**each) for each in found.pop("placements"))
        offered = tuple(Offered(**each) for each in found.pop("offered"))
        try:
            return Decision(**found, placements=placements, offered=offered)
        except ValueError as exc:
            raise EventError("wrong-schema", f"{exc}. See `decisions` for the fields.") from exc

    def encode(self, decision: Decision) -> bytes:
        """Return the decision as JSON. Raises `EventError` for what `decode` would refuse."""
        value = _encoded(DECISION, fields_of(decision))
        check_size(value, MAX_BYTES)
        return value


class JsonOutcomes:
    """The codec of outcomes."""

    def decode(self, value: bytes) -> Outcome:
        """Return the outcome. Raises `EventError`: oversized, malformed or wrong-schema."""
        return Outcome(**parse(OUTCOME, value, of=OF).model_dump(exclude={"version"}))

    def encode(self, outcome: Outcome) -> bytes:
        """Return the outcome as JSON. Raises `EventError` for what `decode` would refuse."""
        return _encoded(OUTCOME, fields_of(outcome))


def _encoded(adapter: TypeAdapter[Any], fields: dict[str, Any]) -> bytes:
    try:
        message: BaseModel = adapter.validate_python({"version": VERSION, **fields})
    except ValidationError as exc:
        raise schema_error(exc, OF) from exc
    return message.model_dump_json().encode()
