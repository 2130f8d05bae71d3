"""A slate while it is made: which positions show generated pictures, and what may join them.

Placed items go in from top to bottom, so those placed already stand above the next and nothing
that was checked for them can be broken later: whatever follows moves candidates away from them.
"""

import math
from bisect import bisect_left, insort
from dataclasses import dataclass, field

from pigeon_recsys.ranking.blend_input import Offer
from pigeon_recsys.ranking.blend_table import BlendTable
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.verdicts import Code, Refusal
from pigeon_recsys.records import Placement


@dataclass(eq=False)
class SlateDraft:
    """The generated pictures of a slate; the candidates fill what is left."""

    table: BlendTable
    constraints: BlendConstraints
    size: int
    placed: dict[int, Offer] = field(default_factory=dict)  # items by position, top to bottom
    creatives: dict[int, Offer] = field(default_factory=dict)  # by row of the candidate
    positions: list[int] = field(default_factory=list)  # of all of them, in order

    @property
    def shown(self) -> list[Offer]:
        """The generated pictures of the slate so far."""
        return [*self.placed.values(), *self.creatives.values()]

    def place_item(self, offer: Offer) -> int | Refusal:
        """Put an item at the first position it may have and return that, or why it has none."""
        merit = self.table.merit(offer) if self.constraints.place == "by_score" else 0
        start = max(merit + len(self.placed), max(self.placed, default=-1) + 1)
        end = min(self.size, len(self.table.items) + len(self.placed) + 1)  # no gap above it
        first_refusal: Refusal | None = None
        allowed = [at for at in self.constraints.allowed_positions if start <= at < end]
        for position in sorted(allowed):
            refusal = self._crowded(position) or self._unlike_enough(offer, position)
            if refusal is None:
                self.placed[position] = offer
                insort(self.positions, position)
                return position
            first_refusal = first_refusal or refusal
        return first_refusal or Refusal(
            Code.ALLOWED_POSITIONS,
            f"ranks {start + 1}, and no allowed position from there on is free",
        )

    def wear_creative(self, offer: Offer) -> int | Refusal:
        """Let a candidate wear a new picture and return its position, or why it does not."""
        row = self.table.row_of(offer.for_item)
        if row is None or (position := self._position_of(row)) >= self.size:
            return Refusal(Code.NOT_ON_SLATE, f"item {offer.for_item} is not on the slate")
        if row in self.creatives:
            other = self.creatives[row].item_id
            return Refusal(Code.PICTURE_TAKEN, f"its item wears {other}")
        if refusal := self._crowded(position):
            return refusal
        self.creatives[row] = offer
        insort(self.positions, position)
        return position

    def placements(self) -> tuple[Placement, ...]:
        """Return the whole slate."""
        num_places = min(self.size, len(self.table.items) + len(self.placed))
        rows = iter(range(len(self.table.items)))
        return tuple(
            self._generated(position)
            if position in self.placed
            else self._item(position, next(rows))
            for position in range(num_places)
        )

    def _generated(self, position: int) -> Placement:
        offer = self.placed[position]
        return Placement(position, offer.item_id, offer.probability, True, offer.probability)

    def _item(self, position: int, row: int) -> Placement:
        item, known = self.table.items[row], float(self.table.probabilities_N[row])
        creative = self.creatives.get(row)
        return Placement(
            position,
            item.item_id,
            item.score,
            is_generated=False,
            probability=None if math.isnan(known) else known,
            creative_id=None if creative is None else creative.item_id,
        )

    def _position_of(self, row: int) -> int:
        """Return where the candidate of a row stands, below the slate's end perhaps."""
        position = row
        for placed in self.placed:
            position += placed <= position
        return position

    def _crowded(self, position: int) -> Refusal | None:
        """Return what is wrong with another generated picture at a position, if anything."""
        at = bisect_left(self.positions, position)
        near = self.positions[max(0, at - 1) : at + 1]
        closest = min((abs(position - other) for other in near), default=self.size)
        if closest < self.constraints.min_distance:
            fault = (
                f"place {position + 1} is {closest} from a generated picture, "
                f"the least is {self.constraints.min_distance}"
            )
            return Refusal(Code.MIN_DISTANCE, fault)
        window = self.constraints.window
        if window is None:
            return None
        joined = [*self.positions[:at], position, *self.positions[at:]]
        for start in range(max(0, at - window.at_most), at + 1):
            run = joined[start : start + window.at_most + 1]
            if len(run) > window.at_most and run[-1] - run[0] < window.positions:
                fault = (
                    f"with place {position + 1}, {len(run)} of {window.positions} positions in a "
                    f"row would be generated, where {window.at_most} may be"
                )
                return Refusal(Code.WINDOW, fault)
        return None

    def _unlike_enough(self, offer: Offer, position: int) -> Refusal | None:
        """Return which neighbour is too alike, if any, were the offer at a position."""
        rule = self.constraints.neighbours
        if rule is None:
            return None
        row = self.table.offer_row[offer.item_id]
        for other_position, other in self.placed.items():
            is_near = position - other_position <= rule.within
            if is_near and self.table.is_alike_GG[row, self.table.offer_row[other.item_id]]:
                return Refusal(Code.NEIGHBOURS, _too_alike(position, other.item_id))
        low, high = self._neighbour_rows(position, rule.within)
        reference_row = self.table.row_of(offer.reference_id)
        if reference_row is not None and low <= reference_row < high:
            fault = f"place {position + 1} is near item {offer.reference_id}, which it was made of"
            return Refusal(Code.REFERENCE, fault)
        is_alike = self.table.is_alike_GN[row, low:high]
        if is_alike.any():
            item = self.table.items[low + int(is_alike.argmax())]
            return Refusal(Code.NEIGHBOURS, _too_alike(position, item.item_id))
        return None

    def _neighbour_rows(self, position: int, within: int) -> tuple[int, int]:
        """Return the candidates, from one row to before another, within so many places."""
        top = max(0, position - within)
        first = top - sum(placed < top for placed in self.placed)
        num_below = min(within, self.size - 1 - position)
        end = position - len(self.placed) + num_below
        return first, min(end, len(self.table.items))


def _too_alike(position: int, item_id: str) -> str:
    return f"place {position + 1} is near item {item_id}, which looks too much like it"
