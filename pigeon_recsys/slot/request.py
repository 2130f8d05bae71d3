"""What is wrong with a request, all of it at once.

Only what can be ranked goes further. Repeated ids and surfaces never heard of are no faults: of
an id the first counts, and a surface without a name in the settings is one of the others.
"""

import math
from collections.abc import Iterator, Sequence

from pigeon_recsys.errors import RequestError
from pigeon_recsys.records import GENERATED_PREFIX, ScoredItem, SlotRequest

MAX_ID_CHARS = 256
MAX_TEXT_CHARS = 2000
MAX_SLATE = 200
MAX_SEED = 2**63 - 1
LISTED_FAULTS = 20
SEPARATOR = "\0"


def check_request(request: SlotRequest, max_candidates: int) -> None:
    """Raise `RequestError` with every fault and the path of the field it is in."""
    faults = list(_faults(request, max_candidates))
    if faults:
        more = len(faults) - LISTED_FAULTS
        raise RequestError(faults[:LISTED_FAULTS] + [f"and {more} more"] * (more > 0))


def _faults(request: SlotRequest, max_candidates: int) -> Iterator[str]:
    for name in ("request_id", "user_id", "surface"):
        yield from _id_faults(name, getattr(request, name))
    if request.reference is not None:
        if request.reference.item_id is not None:
            yield from _id_faults("reference.item_id", request.reference.item_id)
        if len(request.reference.text) > MAX_TEXT_CHARS:
            yield _too_long("reference.text", len(request.reference.text), MAX_TEXT_CHARS)
    if not 1 <= request.slate_size <= MAX_SLATE:
        yield f"slate_size must be from 1 to {MAX_SLATE}, got {request.slate_size}"
    if not 0 <= request.seed <= MAX_SEED:
        yield f"seed must be from 0 to {MAX_SEED}, got {request.seed}"
    if request.deadline_ms is not None and math.isnan(request.deadline_ms):
        yield "deadline_ms must be a number, got nan"
    yield from _candidate_faults(request, max_candidates)


def _candidate_faults(request: SlotRequest, max_candidates: int) -> Iterator[str]:
    if len(request.candidates) > max_candidates:
        yield f"candidates must be at most {max_candidates}, got {len(request.candidates)}"
        return
    if _all_sound(request.candidates):
        return
    for number, candidate in enumerate(request.candidates):
        path = f"candidates.{number}"
        yield from _id_faults(f"{path}.item_id", candidate.item_id)
        if candidate.item_id.startswith(GENERATED_PREFIX):
            yield (
                f"{path}.item_id must not begin with {GENERATED_PREFIX!r}, got "
                f"{candidate.item_id!r}: the slot finds generated items itself"
            )
        if not math.isfinite(candidate.score):
            yield f"{path}.score must be a finite number, got {candidate.score}"


def _all_sound(candidates: Sequence[ScoredItem]) -> bool:
    """Say whether no candidate has a fault; hundreds at a time, as every request has."""
    ids = [candidate.item_id for candidate in candidates]
    lengths = list(map(len, ids))
    return (
        min(lengths, default=1) > 0
        and max(lengths, default=0) <= MAX_ID_CHARS
        and all(map(math.isfinite, [candidate.score for candidate in candidates]))
        and SEPARATOR + GENERATED_PREFIX not in SEPARATOR + SEPARATOR.join(ids)
    )


def _id_faults(path: str, value: str) -> Iterator[str]:
    if not value:
        yield f"{path} must not be empty"
    elif len(value) > MAX_ID_CHARS:
        yield _too_long(path, len(value), MAX_ID_CHARS)


def _too_long(path: str, length: int, limit: int) -> str:
    return f"{path} must be at most {limit} characters, got {length}"
