"""What is wrong with a request, all of it at once.

In:  a request as somebody's code made it.
Out: the same request with plain numbers in it, or `RequestError` with every fault.

Only what can be ranked goes further. Repeated ids and surfaces never heard of are no faults: of
an id the first counts, and a surface without a name in the settings is one of the others.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pigeon_recsys.errors import RequestError
from pigeon_recsys.records import GENERATED_PREFIX, Reference, ScoredItem, SlotRequest

MAX_ID_CHARS = 256
MAX_TEXT_CHARS = 2000
MAX_SLATE = 200
MAX_SEED = 2**63 - 1
LISTED_FAULTS = 20
MAX_BITS = 1024  # of a whole number that a float can hold
SHOWN_CHARS = 40  # of a value that is at fault
SEPARATOR = "\0"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # in ids: some stores cannot hold them


def checked_request(request: SlotRequest, max_candidates: int) -> SlotRequest:
    """Return a request whose numbers are Python's own, which everything behind it can write.

    Raises `RequestError` with every fault and the path of the field it is in.
    """
    if not isinstance(request, SlotRequest):
        raise RequestError([_no("request", "a SlotRequest", request)])
    faults = list(_faults(request, max_candidates))
    if faults:
        more = len(faults) - LISTED_FAULTS
        raise RequestError(faults[:LISTED_FAULTS] + [f"and {more} more"] * (more > 0))
    return _with_plain_numbers(request)


def _faults(request: SlotRequest, max_candidates: int) -> Iterator[str]:
    for name in ("request_id", "user_id", "surface"):
        yield from _id_faults(name, getattr(request, name))
    yield from _reference_faults(request.reference)
    for name, least, most in (("slate_size", 1, MAX_SLATE), ("seed", 0, MAX_SEED)):
        value = getattr(request, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool):
            yield _no(name, "a whole number", value)
        elif not least <= value <= most:
            yield _no(name, f"from {least} to {most}", value)
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
    if not isinstance(reference.text, str):
        yield _no("reference.text", "text", reference.text)
    elif len(reference.text) > MAX_TEXT_CHARS:
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
        if not _is_number(score) or math.isinf(score):
            yield _no(f"{path}.score", "a finite number", score)


def _all_sound(candidates: Sequence[ScoredItem]) -> bool:
    """Say whether no candidate has a fault; hundreds at a time, as every request has.

    Only where it says no, which it may of rare characters too, each is looked at by itself.
    """
    try:
        ids = [candidate.item_id for candidate in candidates]
        scores = [candidate.score for candidate in candidates]
        lengths = list(map(len, ids))
        return (
            min(lengths, default=1) > 0
            and max(lengths, default=0) <= MAX_ID_CHARS
            and all(map(_is_number_type, set(map(type, scores))))
            and all(map(math.isfinite, scores))
            and "".join(ids).isprintable()
            and SEPARATOR + GENERATED_PREFIX not in SEPARATOR + SEPARATOR.join(ids)
        )
    except (AttributeError, TypeError, OverflowError):  # something is of another type, or huge
        return False


def _with_plain_numbers(request: SlotRequest) -> SlotRequest:
    """Return the request as it is, or with Python's numbers in place of numpy's."""
    changes: dict[str, Any] = {
        name: plain(value)
        for name, plain in (("slate_size", int), ("seed", int), ("deadline_ms", float))
        if (value := getattr(request, name)) is not None and type(value) is not plain
    }
    if not set(map(type, [each.score for each in request.candidates])) <= {float}:
        changes["candidates"] = tuple(
            [ScoredItem(each.item_id, float(each.score)) for each in request.candidates]
        )
    return replace(request, **changes) if changes else request


def _is_number(value: object) -> bool:
    """Say whether a value is a number that a float can hold, numpy's among them, and not nan."""
    if not _is_number_type(type(value)):
        return False
    try:
        return not math.isnan(value)  # type: ignore[arg-type]  # it is a number
    except OverflowError:
        return False


def _is_number_type(kind: type) -> bool:
    return issubclass(kind, int | float | np.integer | np.floating) and kind is not bool


def _id_faults(path: str, value: object) -> Iterator[str]:
    if not isinstance(value, str):
        yield _no(path, "text", value)
    elif not value:
        yield f"{path} must not be empty"
    elif len(value) > MAX_ID_CHARS:
        yield _too_long(path, len(value), MAX_ID_CHARS)
    elif CONTROL.search(value):
        yield f"{path} must hold no control characters, got {_shown(value)}: escape them"


def _no(path: str, wanted: str, value: object) -> str:
    """Return what to say of a value that is none of what is wanted."""
    return f"{path} must be {wanted}, got {_shown(value)}"


def _shown(value: object) -> str:
    """Return a value as a message shows it, however large or strange it is."""
    if isinstance(value, float):
        return str(value)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return f"a whole number of {value.bit_length()} bits, which no float holds"
    try:
        return f"{value!r:.{SHOWN_CHARS}}"
    except Exception:  # digits without end, or a class of the caller's that cannot be shown
        return f"a value of type {type(value).__name__} that cannot be shown"


def _too_long(path: str, length: int, limit: int) -> str:
    return f"{path} must be at most {limit} characters, got {length}"
