"""The decision log's records: what a slate was made of, what was seen of it, what was done with it.

    Decision     one slate: everything the choice depended on, and the exact chance of the choice
    Exposure     an item of the slate came into view
    Outcome      the user did something to an item of the slate

They are joined by `request_id` and `item_id`. Plain frozen data that outlives the code which wrote
it, so codes and names of versions are text here. `docs/decision_log.md` explains every field.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from pigeon_recsys.errors import EventError, SettingsError
from pigeon_recsys.hashed_ids import KEY_VARIABLE, hashed, is_keyed, without_user
from pigeon_recsys.records import GENERATED_PREFIX, LIKE, SKIP, ItemKind, Placement

OutcomeKind = Literal["click", "like", "skip", "hide"]
OUTCOMES: tuple[OutcomeKind, ...] = ("click", "like", "skip", "hide")
HISTORY_EVENTS = (LIKE, SKIP)  # what an outcome may tell the histories

MAX_CANDIDATES = 1_000  # of a decision; `num_candidates` says how many there were
MAX_OFFERED = 100
MAX_PLACEMENTS = 1_000
MAX_TEXT = 1_000  # characters of a reason or a line
MAX_ID = 256  # characters
EVENT_ID_DIGITS = 32  # hex
SAME_CHANCE = 1e-6  # relative; a product of two chances and what was drawn from


@dataclass(frozen=True, slots=True)
class Offered:
    """A generated picture that was considered for the slate."""

    item_id: str
    kind: ItemKind
    source: str  # whose calibration its probability went through
    score: float | None  # the ranker's, before calibration; None: not ranked
    probability: float | None  # of a like, calibrated
    code: str  # what decided on it: `placed`, or the constraint that fired
    line: str  # the same for people
    propensity: float | None = None  # of it, given that the slot is filled; None: not choosable


@dataclass(frozen=True, slots=True)
class Decision:
    """One slate and how it came to be. The tuples of candidates align."""

    request_id: str
    user_id: str
    surface: str
    at_ms: int  # epoch milliseconds, UTC
    action: str | None  # the generated picture that was chosen; None: the slot stayed empty
    propensity: float  # of exactly this action
    slot_propensity: float  # that the slot is filled
    rung: str  # of the ladder
    reason: str
    placements: tuple[Placement, ...]  # what was shown where
    num_candidates: int  # as many as the caller gave
    candidate_ids: tuple[str, ...]  # in the caller's order
    candidate_scores: tuple[float, ...]  # the caller's
    candidate_probabilities: tuple[float | None, ...]  # of a like, calibrated; None: not ranked
    offered: tuple[Offered, ...] = ()
    experiment: str = ""
    bucket: str = ""
    context: Mapping[str, float] = field(default_factory=dict)  # what the policy saw, by name
    versions: Mapping[str, str] = field(default_factory=dict)  # of ranker, calibration, policy, …
    history_hash: str = ""
    latency_ms: Mapping[str, float] = field(default_factory=dict)  # by stage
    total_ms: float = 0.0
    deadline_ms: float | None = None  # what the request allowed
    candidate_raw_scores: tuple[float | None, ...] = ()  # the ranker's, before calibration, None:
    # not ranked; empty where nothing was, and in rows of versions that did not write them

    def __post_init__(self) -> None:
        num_logged = len(self.candidate_ids)
        if not num_logged == len(self.candidate_scores) == len(self.candidate_probabilities):
            raise ValueError(
                f"decision {self.request_id!r}: {num_logged} candidates, "
                f"{len(self.candidate_scores)} scores and {len(self.candidate_probabilities)} "
                "probabilities must be as many"
            )
        if len(self.candidate_raw_scores) not in (0, num_logged):
            raise ValueError(
                f"decision {self.request_id!r}: {num_logged} candidates have "
                f"{len(self.candidate_raw_scores)} raw scores, which must be as many or none"
            )
        if self.num_candidates < num_logged:
            raise ValueError(
                f"decision {self.request_id!r}: num_candidates is {self.num_candidates}, "
                f"yet {num_logged} are given"
            )
        expected = self._expected_propensity()
        if not 0 < self.propensity <= 1 or not math.isclose(
            self.propensity, expected, rel_tol=SAME_CHANCE
        ):
            raise ValueError(
                f"decision {self.request_id!r}: the propensity of {self.action or 'no slot'} is "
                f"{self.propensity}, where slot and item make it {expected}"
            )

    def _expected_propensity(self) -> float:
        """Return what the chances of slot and item make of the action's."""
        if self.action is None:
            return 1 - self.slot_propensity
        return self.slot_propensity * (self.item_propensity or 0.0)

    @property
    def item_propensity(self) -> float | None:
        """The chance of the chosen picture, given that the slot is filled."""
        for each in self.offered:
            if each.item_id == self.action:
                return each.propensity
        return None

    @property
    def shown_id(self) -> str | None:
        """The item id under which the action was shown: a creative is worn by a catalog item."""
        for placement in self.placements:
            if self.action is not None and self.action in (
                placement.item_id,
                placement.creative_id,
            ):
                return placement.item_id
        return None


@dataclass(frozen=True, slots=True)
class Exposure:
    """A user was shown an item."""

    user_id: str
    at_ms: int  # epoch milliseconds, UTC
    request_id: str  # of the slate
    item_id: str
    position: int
    creative_id: str | None = None  # the generated picture that a catalog item wore

    @property
    def picture_id(self) -> str | None:
        """The generated picture that was shown, None where there was none."""
        if self.creative_id is not None or not self.item_id.startswith(GENERATED_PREFIX):
            return self.creative_id
        return self.item_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """A user did something to an item of a slate."""

    user_id: str
    at_ms: int  # epoch milliseconds, UTC
    request_id: str  # of the slate
    item_id: str
    kind: OutcomeKind
    event: str | None = None  # what the user's history is told of it: `like`, `skip` or nothing

    def __post_init__(self) -> None:
        if self.kind not in OUTCOMES:
            raise ValueError(f"kind must be one of {OUTCOMES}, got {self.kind!r}")
        if self.event is not None and self.event not in HISTORY_EVENTS:
            raise ValueError(f"event must be one of {HISTORY_EVENTS} or None, got {self.event!r}")

    @property
    def event_id(self) -> str:
        """Names the interaction it stands for, the same however often it is sent."""
        named = json.dumps([self.request_id, self.item_id, self.kind])
        return hashlib.sha256(named.encode()).hexdigest()[:EVENT_ID_DIGITS]


SlateEntry = Decision | Exposure | Outcome


def bounded(entry: SlateEntry) -> SlateEntry:
    """Return an entry of bounded size: the first candidates, the beginning of long texts.

    Raises `EventError` for an id that is too long to be one, or no Unicode.
    """
    _check_ids(entry)
    if not isinstance(entry, Decision):
        return entry
    return replace(
        entry,
        reason=entry.reason[:MAX_TEXT],
        placements=entry.placements[:MAX_PLACEMENTS],
        candidate_ids=entry.candidate_ids[:MAX_CANDIDATES],
        candidate_scores=entry.candidate_scores[:MAX_CANDIDATES],
        candidate_probabilities=entry.candidate_probabilities[:MAX_CANDIDATES],
        candidate_raw_scores=entry.candidate_raw_scores[:MAX_CANDIDATES],
        offered=_first_offered(entry),
    )


def fields_of(entry: SlateEntry) -> dict[str, Any]:
    """Return an entry's fields by name, with plain dictionaries in place of records.

    `dataclasses.asdict` would copy each of a decision's candidates, which takes milliseconds.
    """
    found = {each.name: getattr(entry, each.name) for each in fields(entry)}
    if isinstance(entry, Decision):
        found["placements"] = tuple(asdict(each) for each in entry.placements)
        found["offered"] = tuple(asdict(each) for each in entry.offered)
    return found


def check_may_hash() -> None:
    """Raise `SettingsError` where hashed user ids would differ from process to process."""
    if not is_keyed():
        raise SettingsError(
            f"hash_users needs the environment variable {KEY_VARIABLE}, which is not set: without "
            "it no two processes write the same word for a user. Set it, the same for all."
        )


def without_user_id(entry: SlateEntry) -> SlateEntry:
    """Return an entry with a word in place of the user's id, the same word in all entries."""
    if isinstance(entry, Decision):
        reason = without_user(entry.reason, entry.user_id)
        return replace(entry, user_id=hashed(entry.user_id), reason=reason)
    return replace(entry, user_id=hashed(entry.user_id))


def _first_offered(decision: Decision) -> tuple[Offered, ...]:
    """Return as many pictures as are logged, the chosen one among them."""
    chosen = [each for each in decision.offered if each.item_id == decision.action]
    others = [each for each in decision.offered if each.item_id != decision.action]
    kept = {each.item_id for each in (*chosen, *others)[:MAX_OFFERED]}
    return tuple(
        replace(each, line=each.line[:MAX_TEXT])
        for each in decision.offered
        if each.item_id in kept
    )


def _check_ids(entry: SlateEntry) -> None:
    ids = [entry.request_id, entry.user_id]
    if isinstance(entry, Decision):
        ids += [entry.surface, *(each.item_id for each in entry.offered)]
        ids += [each.item_id for each in entry.placements]
        ids += entry.candidate_ids[:MAX_CANDIDATES]
    else:
        ids.append(entry.item_id)
    if longest := max((len(each) for each in ids if len(each) > MAX_ID), default=0):
        raise EventError(
            "oversized", f"an id has {longest} characters, {MAX_ID} allowed. Send shorter ids."
        )
    try:
        "".join(ids).encode()
    except UnicodeEncodeError as exc:
        raise EventError("malformed", "an id is no Unicode text. Send ids in UTF-8.") from exc
