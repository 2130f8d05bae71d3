"""What a blend reads: the caller's candidates, the generated pictures on offer, the request.

Candidates travel as columns, because a request has hundreds. Everything is checked here, and a
number that cannot be ranked is refused with the item it belongs to.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.errors import RankingError, SettingsError
from pigeon_recsys.records import ItemKind, ScoredItem, Vectors

# N candidates, D width of an embedding

LENGTH_TOLERANCE = 1e-2  # of a squared unit length; float32 and float16 stay well inside

Probabilities = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The caller's items in the caller's order; the columns align with `items`."""

    items: Sequence[ScoredItem]  # scores on the caller's scale; they are only passed on
    probabilities: Sequence[float | None] | Vectors | None = None  # calibrated; None: not known
    vectors_ND: Vectors | None = None  # unit length; a zero row is not known
    content_hashes: Sequence[str | None] | None = None  # of the pictures
    known_ids: tuple[str, ...] | None = None  # of the items, where somebody has read them already

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        """The items' ids."""
        known = self.known_ids
        return tuple([item.item_id for item in self.items]) if known is None else known

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """The items' scores."""
        return tuple([item.score for item in self.items])

    @classmethod
    def scored(cls, items: Sequence[ScoredItem]) -> "Candidates":
        """Return candidates whose scores are calibrated probabilities."""
        return cls(items, [item.score for item in items])


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A generated picture that the slate may show."""

    item_id: str
    probability: float  # of a like, calibrated for its source
    kind: ItemKind = "item"
    for_item: str | None = None  # of a creative: the candidate that would wear the picture
    reference_id: str | None = None  # the catalog item it was made from
    vector: Vectors | None = None  # (D,), unit length
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A generated picture was shown to the user."""

    item_id: str
    at_ms: int  # epoch milliseconds, UTC


@dataclass(frozen=True, slots=True)
class BlendRequest:
    """For whom a slate is made, how long it is, and what the user was shown lately."""

    user_id: str
    request_id: str
    size: int
    now_ms: int = 0
    shown: Sequence[Shown] = ()  # generated pictures only, in any order

    def __post_init__(self) -> None:
        if self.size < 1:
            raise SettingsError(f"the slate size must be at least 1, got {self.size}")


def checked_probabilities(candidates: Candidates) -> Probabilities:
    """Return the probabilities (N,), nan where not known; refuse what is none."""
    items = candidates.items
    if candidates.known_ids is not None:
        _require_aligned("ids", len(candidates.known_ids), candidates)
    if not math.isfinite(sum(candidates.scores)):
        _refuse_scores(items)
    given = candidates.probabilities
    if given is None:
        return np.full(len(items), np.nan)
    _require_aligned("probabilities", len(given), candidates)
    found = np.asarray(given, np.float64)  # None becomes nan
    if len(found) and found.min() >= 0 and found.max() <= 1:  # not where one is nan
        return found
    wrong = np.flatnonzero(~((found >= 0) & (found <= 1)))
    for row in wrong.tolist():
        if given[row] is not None:
            _refuse_probability(items[row].item_id, found[row])
    return found


def check_offers(offers: Sequence[Offer]) -> None:
    """Refuse offers whose probability is none, and creatives for no item."""
    for offer in offers:
        if not 0 <= offer.probability <= 1:
            _refuse_probability(offer.item_id, offer.probability)
        if (offer.kind == "creative") != (offer.for_item is not None):
            raise RankingError(
                f"item {offer.item_id!r} is of kind {offer.kind!r} with for_item "
                f"{offer.for_item!r}. A creative names the candidate it is for, an item does not."
            )


def known_vectors(candidates: Candidates) -> NDArray[np.bool_]:
    """Say which candidates have a vector (N,); refuse any that is neither of unit length nor zero.

    There must be vectors.
    """
    assert candidates.vectors_ND is not None
    _require_aligned("vectors", len(candidates.vectors_ND), candidates)
    squared_N = _squared_lengths(candidates.vectors_ND)
    for row in _wrong_lengths(squared_N):
        _refuse_vector(candidates.items[row].item_id)
    return np.asarray(squared_N != 0)


def offered_vectors(offers: Sequence[Offer], num_dims: int | None) -> Vectors | None:
    """Return the offers' vectors (G, D), zero where there is none; None if none has any.

    `num_dims` is the width that the candidates' vectors have.
    """
    given = {offer.item_id: offer.vector for offer in offers if offer.vector is not None}
    if not given:
        return None
    width = num_dims if num_dims is not None else len(next(iter(given.values())))
    for item_id, vector in given.items():
        if vector.shape != (width,):
            raise RankingError(
                f"item {item_id!r} has a vector of shape {vector.shape}, where others have "
                f"({width},). Embed pictures and candidates with one embedder."
            )
    empty = np.zeros(width, np.float32)
    offered_GD = np.stack([given.get(offer.item_id, empty) for offer in offers])
    for row in _wrong_lengths(_squared_lengths(offered_GD)):
        _refuse_vector(offers[row].item_id)
    return offered_GD


def _squared_lengths(vectors_ND: Vectors) -> Vectors:
    with np.errstate(over="ignore", invalid="ignore"):
        squared_N: Vectors = np.einsum("nd,nd->n", vectors_ND, vectors_ND)
    return squared_N


def _wrong_lengths(squared_N: Vectors) -> list[int]:
    """Return the rows whose squared length is neither one nor zero."""
    is_right = (np.abs(squared_N - 1) <= LENGTH_TOLERANCE) | (squared_N == 0)
    return np.flatnonzero(~is_right).tolist()


def _require_aligned(what: str, count: int, candidates: Candidates) -> None:
    if count != len(candidates.items):
        raise RankingError(
            f"there are {count} {what} for {len(candidates.items)} candidates. "
            "Give one for each, in their order."
        )


def _refuse_scores(items: Sequence[ScoredItem]) -> None:
    for item in items:
        if not math.isfinite(item.score):
            raise RankingError(
                f"item {item.item_id!r} has the score {item.score}, which cannot be ranked. "
                "Give every candidate a finite score."
            )


def _refuse_probability(item_id: str, value: float) -> None:
    raise RankingError(
        f"item {item_id!r} has the probability {value}, which cannot be ranked. "
        "Give a calibrated probability from 0 to 1."
    )


def _refuse_vector(item_id: str) -> None:
    raise RankingError(
        f"item {item_id!r} has a vector that is not of unit length. Divide it by its length, or "
        "give zeros where none is known."
    )
