"""Beliefs from a log: what was decided is rewarded with what became of it, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.decisions import Decision, Offered
from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs, Option
from pigeon_recsys.ranking.exploration import NO_SLOT, SLOT, SlotBeliefs
from pigeon_recsys.ranking.seen_slates import SeenSlate
from pigeon_recsys.slot.context import ITEM_FEATURES, PICTURE, SLOT_FEATURES
from pigeon_recsys.slot.learning import Learned, learn
from tests.ranking.seen_log import ITEM, MADE, decision_of

BETA = SlotBeliefs(BetaBeliefs(), BetaBeliefs())
LINEAR = SlotBeliefs(LinearBeliefs(len(SLOT_FEATURES)), LinearBeliefs(len(ITEM_FEATURES)))
CONTEXT = dict(zip(SLOT_FEATURES, (1.0, 0.5, 0.7, 0.4, 0.0, 1.0), strict=True))


def learned(beliefs: SlotBeliefs, *seen: tuple[Decision, dict[str, bool]]) -> Learned:
    return learn(beliefs, [SeenSlate(*each) for each in seen])


def counts(beliefs: object) -> dict[str, tuple[float, float]]:
    assert isinstance(beliefs, BetaBeliefs)
    return dict(beliefs.counts)


def test_a_slate_teaches_the_slot_and_the_seen_picture_the_item() -> None:
    """Filled: liked by the item alone, not at all, and with the picture not seen. Empty: liked."""
    found = learned(
        BETA,
        (decision_of(1), {MADE: False, ITEM: True}),
        (decision_of(2), {MADE: False, ITEM: False}),
        (decision_of(3), {ITEM: False}),
        (decision_of(4, is_filled=False), {ITEM: True}),
    )
    assert counts(found.beliefs.slot) == {SLOT: (1, 2), NO_SLOT: (1, 0)}
    assert counts(found.beliefs.item) == {PICTURE: (0, 2)}
    assert (found.num_slates, found.num_pictures) == (4, 2)
    assert counts(BETA.slot) == {}


def test_a_slate_without_a_picture_to_choose_teaches_nothing() -> None:
    none = decision_of(1, is_filled=False, propensity=1.0, slot_propensity=0.0)
    found = learned(BETA, (none, {ITEM: True}))
    assert (found.num_slates, found.num_without_choice) == (0, 1)
    assert found.beliefs == BETA


def test_what_was_learned_before_is_gone_on_from() -> None:
    first = learned(BETA, (decision_of(1), {MADE: True})).beliefs
    again = learned(first, (decision_of(2), {MADE: True})).beliefs
    assert counts(again.slot) == {SLOT: (2, 0)}


def test_linear_beliefs_learn_what_the_policy_saw() -> None:
    """The picture of probability 0.7 beside a candidate of 0.4 has an advantage of 0.3."""
    found = learned(LINEAR, (decision_of(1, context=CONTEXT), {MADE: True}))
    seen = Option(SLOT, SLOT, tuple(CONTEXT.values()))
    made = Option(MADE, PICTURE, (1.0, 0.7, 0.7 - 0.4))
    for ours, expected in (
        (found.beliefs.slot, LINEAR.slot.updated(seen, 1.0)),
        (found.beliefs.item, LINEAR.item.updated(made, 1.0)),
    ):
        assert isinstance(ours, LinearBeliefs)
        assert isinstance(expected, LinearBeliefs)
        for name, arm in expected.arms.items():
            np.testing.assert_allclose(ours.arms[name].squares_DD, arm.squares_DD)
            np.testing.assert_allclose(ours.arms[name].moments_D, arm.moments_D)


def test_linear_beliefs_leave_out_slates_whose_context_is_not_known() -> None:
    beliefs = SlotBeliefs(BETA.slot, LINEAR.item)
    found = learned(beliefs, (decision_of(1), {MADE: True}))
    assert (found.num_slates, found.num_pictures, found.num_without_context) == (1, 0, 1)
    found = learned(LINEAR, (decision_of(1, context={"one": 1.0}), {MADE: True}))
    assert (found.num_slates, found.num_pictures, found.num_without_context) == (0, 0, 1)


def test_the_kind_of_picture_that_is_liked_more_is_preferred_afterwards() -> None:
    """Pictures of probability 0.2 are liked in 5 of 100, those of 0.8 in 60 of 100."""
    rng = np.random.default_rng(3)
    seen = []
    for number in range(400):
        probability, rate = ((0.2, 0.05), (0.8, 0.6))[number % 2]
        decision = decision_of(number, context=CONTEXT)
        offered = Offered(MADE, "item", "generated", 0.9, probability, "placed", "", 1.0)
        seen.append((replace(decision, offered=(offered,)), {MADE: bool(rng.random() < rate)}))
    item = learned(LINEAR, *seen).beliefs.item
    options = [Option(str(p), PICTURE, (1.0, p, p - 0.4)) for p in (0.2, 0.8)]
    means, _ = item.estimates(options)
    assert means == pytest.approx([0.05, 0.6], abs=0.08)
    assert item.chances_of_best(options)[1] > 0.99
