"""May a generated picture be on this slate at all, wherever it would stand?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.ranking.blend_input import BlendRequest, Offer, Shown
from pigeon_recsys.ranking.blend_table import BlendTable
from pigeon_recsys.ranking.constraints import BlendConstraints, FrequencyCap
from pigeon_recsys.ranking.hashed_uniform import hashed_uniform
from pigeon_recsys.ranking.verdicts import Code, Refusal

MS_PER_HOUR = 3_600_000


def is_in_share(request: BlendRequest, constraints: BlendConstraints) -> bool:
    """Say whether this slate is one of the share that may show a generated picture."""
    if constraints.share == 1:
        return True
    draw = hashed_uniform(constraints.salt, request.user_id, request.request_id)
    return draw < constraints.share


@dataclass(frozen=True, eq=False)
class Eligibility:
    """What decides before positions do."""

    table: BlendTable
    constraints: BlendConstraints
    slate_refusal: Refusal | None  # of every generated picture
    item_showings: Mapping[str, int]  # within the item cap's hours, by picture
    user_showings: int  # within the user cap's hours

    @classmethod
    def of(
        cls,
        table: BlendTable,
        request: BlendRequest,
        constraints: BlendConstraints,
        *,
        whatever_the_share: bool = False,
    ) -> "Eligibility":
        """Return what holds for one request."""
        of_items = _recent(constraints.item_cap, request)
        return cls(
            table=table,
            constraints=constraints,
            slate_refusal=_slate_refusal(request, constraints, whatever_the_share),
            item_showings=Counter(shown.item_id for shown in of_items),
            user_showings=len(_recent(constraints.user_cap, request)),
        )

    def refusal(self, offer: Offer, shown: Sequence[Offer]) -> Refusal | None:
        """Return why a picture may not join those that the slate shows already, if so."""
        return (
            self.slate_refusal
            or self._duplicate(offer, shown)
            or self._too_little(offer)
            or self._too_often(offer, len(shown))
        )

    def _duplicate(self, offer: Offer, shown: Sequence[Offer]) -> Refusal | None:
        table = self.table
        if offer.item_id in table.item_ids:
            return Refusal(Code.SAME_ID, "is a catalog candidate already")
        same = [other.item_id for other in shown if _is_same_content(offer, other)]
        if (item_id := table.item_of_content.get(offer.content_hash or "")) is not None:
            same.append(item_id)
        if same:
            return Refusal(Code.SAME_CONTENT, f"is the same picture as item {same[0]}")
        own_row = table.offer_row[offer.item_id]
        copied = [
            other.item_id
            for other in shown
            if table.is_copy_GG[own_row, table.offer_row[other.item_id]]
        ]
        copied += [
            table.items[row].item_id for row in np.flatnonzero(table.is_copy_GN[own_row]).tolist()
        ]
        if copied:
            return Refusal(Code.NEAR_COPY, f"is nearly the same picture as item {copied[0]}")
        return None

    def _too_little(self, offer: Offer) -> Refusal | None:
        least = self.constraints.min_score
        if offer.probability >= least:
            return None
        fault = f"scores {offer.probability:.4g}, below the minimum of {least:g}"
        return Refusal(Code.MIN_SCORE, fault)

    def _too_often(self, offer: Offer, num_shown: int) -> Refusal | None:
        item_cap, user_cap = self.constraints.item_cap, self.constraints.user_cap
        if num_shown >= self.constraints.max_generated:
            fault = f"exceeds the {self.constraints.max_generated} allowed on one slate"
            return Refusal(Code.MAX_GENERATED, fault)
        of_item = self.item_showings.get(offer.item_id, 0)
        if item_cap is not None and of_item >= item_cap.at_most:
            return Refusal(Code.ITEM_CAP, _capped("it", of_item, item_cap))
        of_user = self.user_showings + num_shown
        if user_cap is not None and of_user >= user_cap.at_most:
            return Refusal(Code.USER_CAP, _capped("generated pictures", of_user, user_cap))
        return None


def _slate_refusal(
    request: BlendRequest, constraints: BlendConstraints, whatever_the_share: bool
) -> Refusal | None:
    if constraints.switch == "kill_switch":
        return Refusal(Code.KILL_SWITCH, "the kill switch is set")
    if constraints.switch == "surface_off":
        return Refusal(Code.SURFACE_OFF, "this surface shows no generated pictures")
    if whatever_the_share or is_in_share(request, constraints):
        return None
    fault = f"the slate is not in the share of {constraints.share:g} that shows some"
    return Refusal(Code.SHARE, fault)


def _recent(cap: FrequencyCap | None, request: BlendRequest) -> list[Shown]:
    """Return what was shown within a cap's hours; a clock that runs ahead counts as well."""
    if cap is None:
        return []
    since_ms = request.now_ms - cap.hours * MS_PER_HOUR
    return [shown for shown in request.shown if shown.at_ms > since_ms]


def _is_same_content(offer: Offer, other: Offer) -> bool:
    return offer.content_hash is not None and offer.content_hash == other.content_hash


def _capped(what: str, count: int, cap: FrequencyCap) -> str:
    return f"the user was shown {what} {count} times in {cap.hours:g} hours, {cap.at_most} may be"
