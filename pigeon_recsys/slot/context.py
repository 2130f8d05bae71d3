"""What a policy that explores knows of a slate and of the pictures on offer, as named numbers.

In:  a draft that is ready to be blended.
Out: features for linear beliefs, in a fixed order; Beta beliefs do not read them.
"""

import math
from collections.abc import Sequence

import numpy as np

from pigeon_recsys.ranking.beliefs import Option
from pigeon_recsys.ranking.blend_input import Offer
from pigeon_recsys.slot.draft import Draft

PICTURE = "picture"  # the arm of all generated items, which come and go
MANY_LIKES = 50  # a history with as many counts as long

BEST_CANDIDATE = "best_candidate"
SLOT_FEATURES = ("one", "history", "best_offer", BEST_CANDIDATE, "hour_sin", "hour_cos")
ITEM_FEATURES = ("one", "probability", "advantage")
HOUR_MS, HOURS_A_DAY = 3_600_000, 24


def slot_context(draft: Draft, offers: Sequence[Offer]) -> dict[str, float]:
    """Return `SLOT_FEATURES` of a slate, each from about -1 to 1."""
    angle = 2 * math.pi * (draft.at_ms / HOUR_MS % HOURS_A_DAY) / HOURS_A_DAY
    num_likes = len(draft.history.liked) if draft.history else 0
    values = (
        1.0,
        min(num_likes / MANY_LIKES, 1.0),
        max((offer.probability for offer in offers), default=0.0),
        _best_candidate(draft),
        math.sin(angle),
        math.cos(angle),
    )
    return dict(zip(SLOT_FEATURES, values, strict=True))


def item_options(draft: Draft, offers: Sequence[Offer]) -> list[Option]:
    """Return the pictures on offer as options with `ITEM_FEATURES`."""
    best = _best_candidate(draft)
    return [
        Option(offer.item_id, PICTURE, item_features(float(offer.probability), best))
        for offer in offers
    ]


def item_features(probability: float, best_candidate: float) -> tuple[float, ...]:
    """Return `ITEM_FEATURES` of a picture beside the best candidate's probability."""
    return 1.0, probability, probability - best_candidate


def _best_candidate(draft: Draft) -> float:
    """Return the highest probability of a candidate, 0 where none is known."""
    if draft.ranked is None or np.isnan(draft.ranked.scores.calibrated).all():
        return 0.0
    return float(np.nanmax(draft.ranked.scores.calibrated))
