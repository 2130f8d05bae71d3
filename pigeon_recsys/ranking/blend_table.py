"""Candidates and offers, checked, ordered and compared once, before anything is placed.

In:  a request's candidates and offers, in any order, ids given twice among them.
Out: both in the order in which the blend goes through them, each id once, and how alike they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.errors import RankingError
from pigeon_recsys.ranking.blend_input import (
    Candidates,
    Offer,
    Probabilities,
    check_offers,
    checked_probabilities,
    known_vectors,
    offered_vectors,
)
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.records import ScoredItem, Vectors

# N candidates, G offers

COSINE_DECIMALS = 5  # a product's last digits depend on how many are computed beside it

Alike = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class BlendTable:
    """What the blend looks up; offers best first, candidates as a slate without offers has them."""

    items: Sequence[ScoredItem]
    probabilities_N: Probabilities  # nan: not known
    is_by_score: bool  # whether these fall from row to row, and are all known
    item_ids: frozenset[str]  # of the candidates
    item_of_content: dict[str, str]  # which candidate shows an offered picture, by content hash
    offers: tuple[Offer, ...]
    offer_row: dict[str, int]
    is_alike_GN: Alike  # above the cosine that neighbours may have
    is_alike_GG: Alike
    is_copy_GN: Alike  # from the cosine of a near copy on
    is_copy_GG: Alike

    @classmethod
    def of(
        cls, candidates: Candidates, offers: Sequence[Offer], constraints: BlendConstraints
    ) -> "BlendTable":
        """Check everything and put it in order. Raises `RankingError` naming the item at fault."""
        probabilities = checked_probabilities(candidates)
        check_offers(offers)
        item_ids = frozenset(candidates.item_ids)
        rows = _catalog_rows(candidates, probabilities, constraints, len(item_ids))
        ranked = _best_first(offers)
        alike_GN, alike_GG = _cosines(candidates, rows, ranked, constraints)
        limit = constraints.neighbours.max_cosine if constraints.neighbours else np.inf
        copy = np.inf if constraints.near_copy_cosine is None else constraints.near_copy_cosine
        return cls(
            items=_InOrder(candidates.items, rows),
            probabilities_N=probabilities[rows],
            is_by_score=constraints.order == "by_score",
            item_ids=item_ids,
            item_of_content=_offered_contents(candidates, ranked),
            offers=ranked,
            offer_row={offer.item_id: row for row, offer in enumerate(ranked)},
            is_alike_GN=alike_GN > limit,
            is_alike_GG=alike_GG > limit,
            is_copy_GN=alike_GN >= copy,
            is_copy_GG=alike_GG >= copy,
        )

    def row_of(self, item_id: str | None) -> int | None:
        """Return the row of a candidate; few are asked for, so that no table of all is worth it."""
        if item_id is None or item_id not in self.item_ids:
            return None
        return next(row for row, item in enumerate(self.items) if item.item_id == item_id)

    def merit(self, offer: Offer) -> int:
        """Return how many candidates the offer's probability puts above it.

        Of all places in the catalog's order, the one with the fewest candidates on the wrong side
        of it; the highest of equal ones. Candidates whose probability is not known count nowhere.
        """
        is_above = self.probabilities_N >= offer.probability
        if self.is_by_score:
            return int(np.count_nonzero(is_above))
        is_below = self.probabilities_N < offer.probability
        steps = is_below.astype(np.int64) - is_above
        wrong_sides = np.concatenate([[0], np.cumsum(steps)])  # beside those at the first place
        return int(np.argmin(wrong_sides))


class _InOrder(Sequence[ScoredItem]):
    """Candidates in another order; a slate looks at few of them."""

    def __init__(self, items: Sequence[ScoredItem], rows: Rows) -> None:
        self._items = items
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        return self._items[self._rows.item(place)]


def _catalog_rows(
    candidates: Candidates,
    probabilities: Probabilities,
    constraints: BlendConstraints,
    num_ids: int,
) -> Rows:
    """Return the candidates' rows in the order of the slate; of an id given twice the first."""
    item_ids = candidates.item_ids
    order = np.arange(len(item_ids))
    if constraints.order == "by_score":
        unknown = np.flatnonzero(np.isnan(probabilities))
        if len(unknown):
            raise RankingError(
                f"item {item_ids[unknown[0]]!r} has no probability to be ordered by. Score "
                'every candidate, or set blend.order to "as_given".'
            )
        order = np.argsort(-probabilities, kind="stable")
    if num_ids == len(item_ids):
        return order
    first: dict[str, int] = {}
    for row in order.tolist():
        first.setdefault(item_ids[row], row)
    return np.array(list(first.values()))


def _best_first(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Return the offers by probability, equal ones in the order given, each id once."""
    best: dict[str, Offer] = {}
    for offer in sorted(offers, key=lambda offer: -offer.probability):
        best.setdefault(offer.item_id, offer)
    return tuple(best.values())


def _cosines(
    candidates: Candidates, rows: Rows, offers: Sequence[Offer], constraints: BlendConstraints
) -> tuple[Vectors, Vectors]:
    """Return how alike offers and candidates are, (G, N) and (G, G); -inf where not known."""
    cosine_GN = np.full((len(offers), len(rows)), -np.inf, np.float32)
    cosine_GG = np.full((len(offers), len(offers)), -np.inf, np.float32)
    if constraints.neighbours is None and constraints.near_copy_cosine is None:
        return cosine_GN, cosine_GG
    vectors_ND = candidates.vectors_ND
    is_known_N = None if vectors_ND is None else known_vectors(candidates)[rows]
    offered_GD = offered_vectors(offers, None if vectors_ND is None else vectors_ND.shape[1])
    if offered_GD is None:
        return cosine_GN, cosine_GG
    is_known_G = offered_GD.any(axis=1)
    known_GG = offered_GD[is_known_G] @ offered_GD[is_known_G].T
    cosine_GG[np.ix_(is_known_G, is_known_G)] = known_GG.round(COSINE_DECIMALS)
    if vectors_ND is not None and is_known_N is not None:
        known_GN = (offered_GD[is_known_G] @ vectors_ND.T)[:, rows].round(COSINE_DECIMALS)
        cosine_GN[is_known_G] = np.where(is_known_N, known_GN, -np.inf)
    return cosine_GN, cosine_GG


def _offered_contents(candidates: Candidates, offers: Sequence[Offer]) -> dict[str, str]:
    """Return the candidates that show a picture on offer, by its content hash."""
    hashes = candidates.content_hashes
    if hashes is None:
        return {}
    if len(hashes) != len(candidates.items):
        raise RankingError(
            f"there are {len(hashes)} content hashes for {len(candidates.items)} candidates. "
            "Give one for each, in their order, None where not known."
        )
    offered = {offer.content_hash for offer in offers if offer.content_hash is not None}
    shown = offered.intersection([content for content in hashes if content is not None])
    return {content: candidates.items[hashes.index(content)].item_id for content in shown}
