"""Beliefs learned from the decision log: what a policy that explores found out.

In:  beliefs, and the seen slates of a log.
Out: the beliefs after these slates, for `slot.policy.beliefs` of a settings file.

    slot    each slate at which there was a picture to choose: the arm is `slot` or `no_slot`, as
            it was decided, the reward 1 if any item that was seen on it came out good, else 0
    item    each chosen picture that was seen: the arm of all pictures, the reward 1 if it is good

Linear beliefs read what the policy saw, from the logged context; Beta beliefs need none. Both say
what an arm earns given what they read, and a policy of such beliefs draws by nothing else, so no
outcome is weighed by its propensity. Propensities tell what was a choice: where the chance of a
filled slot is 0, no picture could be shown and nothing is learned.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pigeon_recsys.decisions import Decision
from pigeon_recsys.ranking.beliefs import Beliefs, LinearBeliefs, Option
from pigeon_recsys.ranking.exploration import NO_SLOT, SLOT, SlotBeliefs
from pigeon_recsys.ranking.seen_slates import SeenSlate
from pigeon_recsys.slot.context import BEST_CANDIDATE, PICTURE, SLOT_FEATURES, item_features


@dataclass(frozen=True, slots=True)
class Learned:
    """Beliefs, and from how much they were learned."""

    beliefs: SlotBeliefs
    num_slates: int  # that taught the slot
    num_pictures: int  # that taught the item
    num_without_choice: int  # seen slates for which there was no picture
    num_without_context: int  # seen slates that linear beliefs could not read


def learn(beliefs: SlotBeliefs, slates: Iterable[SeenSlate]) -> Learned:
    """Return beliefs after more slates; the ones given stay as they are."""
    of_slot, of_item = beliefs.slot, beliefs.item
    num_slates = num_pictures = num_without_choice = num_without_context = 0
    for slate in slates:
        decision = slate.decision
        if decision.slot_propensity == 0:
            num_without_choice += 1
            continue
        is_good = slate.is_good.get(decision.shown_id or "")
        side = _side(of_slot, decision)
        picture = None if is_good is None else _picture(of_item, decision)
        if side is None or (is_good is not None and picture is None):
            num_without_context += 1
        if side is not None:
            of_slot = of_slot.updated(side, float(any(slate.is_good.values())))
            num_slates += 1
        if is_good is not None and picture is not None:
            of_item = of_item.updated(picture, float(is_good))
            num_pictures += 1
    return Learned(
        SlotBeliefs(of_slot, of_item),
        num_slates,
        num_pictures,
        num_without_choice,
        num_without_context,
    )


def _side(beliefs: Beliefs, decision: Decision) -> Option | None:
    """Return what was decided of the slot; None where needed features are not known."""
    name = NO_SLOT if decision.action is None else SLOT
    if not isinstance(beliefs, LinearBeliefs):
        return Option(name, name)
    if not set(SLOT_FEATURES) <= decision.context.keys():
        return None
    return Option(name, name, tuple(decision.context[each] for each in SLOT_FEATURES))


def _picture(beliefs: Beliefs, decision: Decision) -> Option | None:
    """Return the picture that was chosen; None where needed features are not known."""
    picture = next(each for each in decision.offered if each.item_id == decision.action)
    if not isinstance(beliefs, LinearBeliefs):
        return Option(picture.item_id, PICTURE)
    if picture.probability is None or BEST_CANDIDATE not in decision.context:
        return None
    features = item_features(picture.probability, decision.context[BEST_CANDIDATE])
    return Option(picture.item_id, PICTURE, features)
