"""Choose by chance, and know the exact chance: whether to fill the slot, and with which item.

A policy turns beliefs into one probability for each option, and a hash of the request draws from
just these. So a logged propensity is not an estimate: it is what was drawn from. That holds for
Thompson sampling too: its chance of each option to be best is computed, not sampled, and a fault
of the quadrature would change the policy, never the propensity.

Only what the blend would place is chosen from (`blend.placeable`), so no constraint comes after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.beliefs import Beliefs, Option
from pigeon_recsys.ranking.blend_input import BlendRequest
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.eligibility import is_in_share
from pigeon_recsys.ranking.hashed_uniform import hashed_uniform
from pigeon_recsys.ranking.largest_of import Floats

# K options

Rule = Literal["greedy", "thompson", "ucb"]
RULES: tuple[Rule, ...] = ("greedy", "thompson", "ucb")
SLOT = "slot"
NO_SLOT = "no_slot"


@dataclass(frozen=True)
class Policy:
    """How to choose among options. `greedy` is ε-greedy, `ucb` on linear beliefs is LinUCB.

    A share `epsilon` of all choices is uniform, whatever the rule, so that every option keeps a
    chance of at least `epsilon` / K and can be evaluated off-policy.
    """

    rule: Rule = "thompson"
    epsilon: float = 0.05
    width: float = 1.0  # of ucb: standard deviations above the expected reward

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise SettingsError(f"policy.rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        if not 0 < self.epsilon <= 1:
            raise SettingsError(f"policy.epsilon must be above 0 and at most 1, got {self.epsilon}")
        if not 0 <= self.width < np.inf:
            raise SettingsError(f"policy.width must be 0 or more and finite, got {self.width}")

    def propensities(self, beliefs: Beliefs, options: Sequence[Option]) -> Floats:
        """Return the probability of each option, (K,); at least one option must be given."""
        if self.rule == "thompson":
            preferred_K = beliefs.chances_of_best(options)
        else:
            mean_K, std_K = beliefs.estimates(options)
            preferred_K = _best(mean_K + (self.width * std_K if self.rule == "ucb" else 0))
        return (1 - self.epsilon) * preferred_K + self.epsilon / len(options)


@dataclass(frozen=True)
class SlotPolicy:
    """Two decisions: fill the slot or not, and with which item."""

    slot: Policy = Policy()
    item: Policy = Policy()
    salt: str = "explore"


@dataclass(frozen=True)
class SlotBeliefs:
    """What each decision learned; a slate's outcome teaches the first, an item's the second."""

    slot: Beliefs
    item: Beliefs


@dataclass(frozen=True)
class SlotChoice:
    """What was chosen, and the chances of it as a decision log wants them.

    They are chances over requests: the share of slates that may show generated pictures counts.
    """

    item_id: str | None  # None: the slot stays empty
    propensity: float  # of exactly this, the item or the empty slot
    slot_propensity: float  # that the slot is filled
    item_propensities: Mapping[str, float]  # of each item, given that the slot is filled


def choose_for_slot(
    policy: SlotPolicy,
    beliefs: SlotBeliefs,
    items: Sequence[Option],
    request: BlendRequest,
    constraints: BlendConstraints,
    *,
    slot_features: tuple[float, ...] = (),
) -> SlotChoice:
    """Choose among items that are placeable, named by their ids; the same request, the same choice.

    The arms of the first decision are `SLOT` and `NO_SLOT`.
    """
    if not items:
        return SlotChoice(None, 1.0, 0.0, {})
    sides = [Option(name, name, slot_features) for name in (SLOT, NO_SLOT)]
    side_K = policy.slot.propensities(beliefs.slot, sides)
    item_K = policy.item.propensities(beliefs.item, items)
    slot_propensity = constraints.share * float(side_K[0])
    item_propensities = {
        item.name: float(chance) for item, chance in zip(items, item_K, strict=True)
    }
    is_filled = is_in_share(request, constraints) and _draw(side_K, policy, SLOT, request) == 0
    if not is_filled:
        return SlotChoice(None, 1 - slot_propensity, slot_propensity, item_propensities)
    chosen = items[_draw(item_K, policy, "item", request)].name
    return SlotChoice(
        chosen, slot_propensity * item_propensities[chosen], slot_propensity, item_propensities
    )


def draw(propensities_K: Floats, uniform: float) -> int:
    """Return the option that a uniform number from 0 to below 1 falls on."""
    ends_K = np.cumsum(propensities_K)
    fallen_on = int(np.searchsorted(ends_K, uniform, side="right"))
    return min(fallen_on, len(ends_K) - 1)  # where rounding left the last end below one


def _draw(propensities_K: Floats, policy: SlotPolicy, what: str, request: BlendRequest) -> int:
    uniform = hashed_uniform(policy.salt, what, request.user_id, request.request_id)
    return draw(propensities_K, uniform)


def _best(values_K: Floats) -> Floats:
    """Return one for the largest value, shared by equal ones."""
    is_best_K = values_K == values_K.max()
    return np.asarray(is_best_K / is_best_K.sum())
