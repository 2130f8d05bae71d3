"""How each topic's values are written: JSON here; Avro or Protobuf by another set of codecs.

A set announces itself as an entry point of `pigeon_recsys.codecs`, a callable without arguments,
and `--codec NAME` takes it. Histories and generation state are the workers' own, and are JSON.
"""

from dataclasses import dataclass, field

from pigeon_recsys.decisions import Decision, Exposure, Outcome
from pigeon_recsys.history.events import HistoryEvent
from pigeon_recsys.streaming.decision_messages import JsonDecisions, JsonOutcomes
from pigeon_recsys.streaming.exposure_messages import JsonExposures
from pigeon_recsys.streaming.generated_messages import GeneratedItemCodec, JsonGeneratedItems
from pigeon_recsys.streaming.generation_requests import GenerationRequest, JsonRequests
from pigeon_recsys.streaming.interaction_messages import JsonEvents
from pigeon_recsys.streaming.messages import Codec


@dataclass(frozen=True, slots=True)
class Codecs:
    """One codec a topic; JSON where nothing else is said."""

    requests: Codec[GenerationRequest] = field(default_factory=JsonRequests)
    items: GeneratedItemCodec = field(default_factory=JsonGeneratedItems)
    events: Codec[HistoryEvent] = field(default_factory=JsonEvents)
    exposures: Codec[Exposure] = field(default_factory=JsonExposures)
    decisions: Codec[Decision] = field(default_factory=JsonDecisions)
    outcomes: Codec[Outcome] = field(default_factory=JsonOutcomes)
