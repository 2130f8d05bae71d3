"""Place generated pictures among the caller's candidates, so that no constraint is broken.

The candidates stand in the caller's order, or by probability, each id once. Then, for generated
items from the most probable to the least:

1. It must be eligible: switches, share, no duplicate, minimum score, caps.
2. Its rank is where its probability puts it among the candidates: the place with the fewest of
   them on the wrong side. Among candidates by probability that is below all that are as probable.
3. It takes the first allowed position from that rank on, below the items placed before it, where
   distance, window and neighbours permit. If the slate ends before, it is not placed.

Last, eligible creatives are worn by candidates on the slate, where distance and window permit.
`docs/blending.md` says what follows from this; tests/ranking/test_blend_properties.py proves it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates, Offer
from pigeon_recsys.ranking.blend_table import BlendTable
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.eligibility import Eligibility
from pigeon_recsys.ranking.slate_draft import SlateDraft
from pigeon_recsys.ranking.verdicts import Refusal, Verdict
from pigeon_recsys.records import Placement


@dataclass(frozen=True)
class Blend:
    """A slate, and for every generated picture why it is shown or is not."""

    placements: tuple[Placement, ...]
    verdicts: Mapping[str, Verdict]  # by id of the generated picture

    @property
    def reason(self) -> str:
        """All verdicts as one line."""
        lines = [verdict.line for verdict in self.verdicts.values()]
        return "; ".join(lines) or "no generated item was given"


def blend(
    candidates: Candidates,
    offers: Sequence[Offer],
    request: BlendRequest,
    constraints: BlendConstraints,
) -> Blend:
    """Return a slate of at most `request.size` places without gaps.

    Raises `RankingError` naming the item whose number cannot be ranked.
    """
    table = BlendTable.of(candidates, offers, constraints)
    eligibility = Eligibility.of(table, request, constraints)
    return _blend(table, table.offers, eligibility, request.size)


def placeable(
    candidates: Candidates,
    offers: Sequence[Offer],
    request: BlendRequest,
    constraints: BlendConstraints,
) -> tuple[Offer, ...]:
    """Return the offers that `blend` would show if given alone and if the share let it.

    A policy that explores chooses among these, so that no constraint changes what it chose.
    """
    table = BlendTable.of(candidates, offers, constraints)
    eligibility = Eligibility.of(table, request, constraints, whatever_the_share=True)
    alone = {
        offer.item_id: _blend(table, [offer], eligibility, request.size) for offer in table.offers
    }
    return tuple(
        offer for offer in table.offers if alone[offer.item_id].verdicts[offer.item_id].is_placed
    )


def _blend(
    table: BlendTable, offers: Sequence[Offer], eligibility: Eligibility, size: int
) -> Blend:
    draft = SlateDraft(table, eligibility.constraints, size)
    verdicts: dict[str, Verdict] = {}
    for offer in sorted(offers, key=lambda offer: offer.kind == "creative"):  # items first
        outcome = eligibility.refusal(offer, draft.shown) or (
            draft.wear_creative(offer) if offer.kind == "creative" else draft.place_item(offer)
        )
        verdicts[offer.item_id] = (
            Verdict.refused(offer, outcome)
            if isinstance(outcome, Refusal)
            else Verdict.placed(offer, outcome)
        )
    return Blend(draft.placements(), verdicts)
