"""Place generated images among catalog candidates.

The rule, for generated items best first:

1. It must score at least `min_score`, and at most `max_generated` are placed.
2. Its rank is where its score puts it: below every catalog item that scores as much or more,
   and below the generated items placed before it.
3. It takes the first allowed position, still free, at or below that rank. If the slate ends
   before such a position, it is not placed.

Catalog items fill the other positions by score; equal scores keep the order given. It follows
that a generated item never stands above a catalog item that scores as much, that catalog items
keep their order, and that blending the same items again gives the same slate. Both scores must
be of one scale, so score both with one ranker.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pigeon_recsys.errors import RankingError, SettingsError
from pigeon_recsys.records import Placement, ScoredItem


@dataclass(frozen=True)
class BlendConstraints:
    """Where generated items may stand, how many, and from which score on."""

    allowed_positions: tuple[int, ...]  # 0 is shown first
    max_generated: int = 1  # 0 turns the slot off
    min_score: float = 0.0

    def __post_init__(self) -> None:
        positions = self.allowed_positions
        if not positions or len(set(positions)) != len(positions) or min(positions) < 0:
            raise SettingsError(
                "blend.allowed_positions must be one or more different positions from 0 on, got "
                f"{list(positions)}. To place nothing, set blend.max_generated to 0."
            )
        if self.max_generated < 0:
            raise SettingsError(f"blend.max_generated must be 0 or more, got {self.max_generated}")
        if not math.isfinite(self.min_score):
            raise SettingsError(f"blend.min_score must be a finite number, got {self.min_score}")


@dataclass(frozen=True)
class Blend:
    """A slate, and for every generated item why it was placed or left out."""

    placements: tuple[Placement, ...]
    reasons: Mapping[str, str]  # by generated item id, best first

    @property
    def reason(self) -> str:
        """All reasons as one line."""
        return "; ".join(self.reasons.values()) or "no generated item was given"


def blend(
    catalog: Sequence[ScoredItem],
    generated: Sequence[ScoredItem],
    *,
    size: int,
    constraints: BlendConstraints,
) -> Blend:
    """Return a slate of at most `size` items without gaps; of an id given twice the best counts.

    A generated item whose id is also a catalog candidate counts as the catalog item.
    """
    if size < 1:
        raise SettingsError(f"the slate size must be at least 1, got {size}")
    ranked = _best_first(catalog)
    catalog_ids = {item.item_id for item in ranked}
    placed: dict[int, ScoredItem] = {}
    reasons: dict[str, str] = {}
    for item in _best_first(generated):
        if item.item_id in catalog_ids:
            verdict = "is a catalog candidate already"
        elif item.score < constraints.min_score:
            verdict = f"scores {item.score:.4g}, below the minimum of {constraints.min_score:g}"
        elif len(placed) >= constraints.max_generated:
            verdict = f"exceeds the {constraints.max_generated} allowed on one slate"
        else:
            rank = len(placed) + sum(other.score >= item.score for other in ranked)
            end = min(size, len(ranked) + len(placed) + 1)
            position = _first_free(constraints.allowed_positions, placed, rank, end)
            if position is not None:
                placed[position] = item
                reasons[item.item_id] = f"generated item {item.item_id} in place {position + 1}"
                continue
            verdict = f"ranks {rank}, and no allowed position from there on is free"
        reasons[item.item_id] = f"generated item {item.item_id} not placed: {verdict}"
    return Blend(_placements(ranked, placed, size), reasons)


def _best_first(items: Iterable[ScoredItem]) -> list[ScoredItem]:
    """Return the items by score, equal ones in the order given, each id once."""
    best: dict[str, ScoredItem] = {}
    for item in items:
        if not math.isfinite(item.score):
            raise RankingError(
                f"item {item.item_id!r} has the score {item.score}, which cannot be ranked. "
                "Give every candidate a finite score."
            )
    for item in sorted(items, key=lambda item: -item.score):
        best.setdefault(item.item_id, item)
    return list(best.values())


def _first_free(
    allowed: Iterable[int], taken: Mapping[int, ScoredItem], rank: int, end: int
) -> int | None:
    free = (position for position in allowed if rank <= position < end and position not in taken)
    return min(free, default=None)


def _placements(
    ranked: Sequence[ScoredItem], placed: Mapping[int, ScoredItem], size: int
) -> tuple[Placement, ...]:
    catalog = iter(ranked)
    placements = []
    for position in range(min(size, len(ranked) + len(placed))):
        is_generated = position in placed
        item = placed[position] if is_generated else next(catalog)
        placements.append(Placement(position, item.item_id, item.score, is_generated))
    return tuple(placements)
