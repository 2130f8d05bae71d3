"""What is wrong with a request, all of it at once.

Only what can be ranked goes further. Repeated ids and surfaces never heard of are no faults: of
an id the first counts, and a surface without a name in the settings is one of the others.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pigeon_recsys.errors import RequestError
from pigeon_recsys.records import GENERATED_PREFIX, Reference, ScoredItem, SlotRequest

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
    yield from _reference_faults(request.reference)
    for name, least, most in (("slate_size", 1, MAX_SLATE), ("seed", 0, MAX_SEED)):
        value = getattr(request, name)
        if not isinstance(value, int) or isinstance(value, bool):
            yield _no(name, "a whole number", value)
        elif not least <= value <= most:
            yield f"{name} must be from {least} to {most}, got {value}"
    deadline_ms = request.deadline_ms
    if deadline_ms is not None and not _is_number(deadline_ms):
        yield _no("deadline_ms", "a number", deadline_ms)
    yield from _candidate_faults(request, max_candidates)


def _reference_faults(reference: Reference | None) -> Iterator[str]:
    if reference is None:
        return
    if not isinstance(reference, Reference):
        yield _no("reference", "a Reference", reference)
        return
    if reference.item_id is not None:
        yield from _id_faults("reference.item_id", reference.item_id)
    if len(reference.text) > MAX_TEXT_CHARS:
        yield _too_long("reference.text", len(reference.text), MAX_TEXT_CHARS)


def _candidate_faults(request: SlotRequest, max_candidates: int) -> Iterator[str]:
    candidates = request.candidates
    if not isinstance(candidates, Sequence) or isinstance(candidates, str):
        yield _no("candidates", "a sequence", candidates)
        return
    if len(candidates) > max_candidates:
        yield f"candidates must be at most {max_candidates}, got {len(candidates)}"
        return
    if _all_sound(candidates):
        return
    for number, candidate in enumerate(candidates):
        path = f"candidates.{number}"
        if not isinstance(candidate, ScoredItem):
            yield _no(path, "a ScoredItem", candidate)
            continue
        item_id, score = candidate.item_id, candidate.score
        yield from _id_faults(f"{path}.item_id", item_id)
        if isinstance(item_id, str) and item_id.startswith(GENERATED_PREFIX):
            yield (
                f"{path}.item_id must not begin with {GENERATED_PREFIX!r}, got "
                f"{item_id!r}: the slot finds generated items itself"
            )
        if not _is_number(score) or not math.isfinite(score):
            yield _no(f"{path}.score", "a finite number", score)


def _all_sound(candidates: Sequence[ScoredItem]) -> bool:
    """Say whether no candidate has a fault; hundreds at a time, as every request has."""
    try:
        ids = [candidate.item_id for candidate in candidates]
        lengths = list(map(len, ids))
        return (
            min(lengths, default=1) > 0
            and max(lengths, default=0) <= MAX_ID_CHARS
            and all(map(math.isfinite, [candidate.score for candidate in candidates]))
            and SEPARATOR + GENERATED_PREFIX not in SEPARATOR + SEPARATOR.join(ids)
        )
    except (AttributeError, TypeError):  # something is of another type
        return False


def _is_number(value: object) -> bool:
    """Say whether a value is a number, numpy's among them, and not nan."""
    return isinstance(value, int | float | np.number) and value == value


def _id_faults(path: str, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield _no(path, "text", value)
    elif not value:
        yield f"{path} must not be empty"
    elif len(value) > MAX_ID_CHARS:
        yield _too_long(path, len(value), MAX_ID_CHARS)


def _no(path: str, wanted: str, value: object) -> str:
    """Return what to say of a value that is none of what is wanted."""
    shown = value if isinstance(value, float) else f"{value!r:.40}"
    return f"{path} must be {wanted}, got {shown}"


def _too_long(path: str, length: int, limit: int) -> str:
    return f"{path} must be at most {limit} characters, got {length}"
