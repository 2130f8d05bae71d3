"""Propensities are exact: they sum to one, and what happens happens as often as they say."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.beliefs import Beliefs, BetaBeliefs, LinearBeliefs, Option
from pigeon_recsys.ranking.blend import blend, placeable
from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates, Offer
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.exploration import (
    RULES,
    Policy,
    Rule,
    SlotBeliefs,
    SlotChoice,
    SlotPolicy,
    choose_for_slot,
    draw,
)
from pigeon_recsys.records import ScoredItem

ITEMS = [Option(f"gen-{n}", f"arm-{n}", (1.0, n / 2)) for n in range(3)]
BETA = BetaBeliefs(counts={"arm-0": (9, 30), "arm-1": (4, 9), "slot": (20, 80), "no_slot": (9, 60)})
LINEAR = LinearBeliefs(2).updated(ITEMS[0], 1).updated(ITEMS[1], 0).updated(ITEMS[2], 0.5)
CONSTRAINTS = BlendConstraints((0, 1, 2), share=0.8)
CHI_SQUARE_3 = 16.3  # 99.9 % of three degrees of freedom
NUM_REQUESTS = 1500


def request(number: int) -> BlendRequest:
    return BlendRequest("ada", f"request-{number}", 5)


def choices(rule: Rule, item: Beliefs) -> list[SlotChoice]:
    policy = SlotPolicy(Policy(rule, 0.4), Policy(rule, 0.2))
    return [
        choose_for_slot(policy, SlotBeliefs(BETA, item), ITEMS, request(number), CONSTRAINTS)
        for number in range(NUM_REQUESTS)
    ]


def test_epsilon_greedy_has_the_propensities_of_its_formula() -> None:
    """Three options, ε = 0.3: 0.7 + 0.1 for the best, 0.1 for the others."""
    found = Policy("greedy", 0.3).propensities(BETA, ITEMS)
    assert found == pytest.approx([0.1, 0.1, 0.8])  # means 10/41, 5/15 and 1/2


def test_equal_options_share_what_the_best_one_has() -> None:
    assert Policy("greedy", 0.2).propensities(BetaBeliefs(), ITEMS) == pytest.approx([1 / 3] * 3)


def test_ucb_prefers_what_is_uncertain_and_without_width_is_greedy() -> None:
    """Means 0.5 and 11/22; the second was tried twenty times."""
    beliefs = BetaBeliefs(counts={"arm-1": (11, 9)})
    assert Policy("ucb", 0.1).propensities(beliefs, ITEMS[:2]) == pytest.approx([0.95, 0.05])
    assert (
        Policy("ucb", 0.1, width=0).propensities(BETA, ITEMS)
        == Policy("greedy", 0.1).propensities(BETA, ITEMS)
    ).all()


def test_linucb_follows_the_features() -> None:
    """θ = A⁻¹b by hand: one outcome of 1 at (1, 0): mean ½ x₀, variance ¼ (x₀² / 2 + x₁²)."""
    beliefs = LinearBeliefs(2).updated(Option("x", "a", (1.0, 0.0)), 1)
    near, far = Option("near", "a", (1.0, 0.0)), Option("far", "a", (0.0, 1.0))
    assert Policy("ucb", 0.5, width=0.5).propensities(beliefs, [near, far])[0] == 0.75
    assert Policy("ucb", 0.5, width=9.0).propensities(beliefs, [near, far])[0] == 0.25


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(RULES),
    st.floats(0.01, 1),
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6),
)
def test_propensities_sum_to_one_and_leave_none_out(
    rule: Rule, epsilon: float, counts: list[tuple[int, int]]
) -> None:
    options = [Option(str(n), str(n), (float(n),)) for n in range(len(counts))]
    beta = BetaBeliefs(counts={str(n): count for n, count in enumerate(counts)})
    linear = LinearBeliefs(1)
    for option, (reward, rest) in zip(options, counts, strict=True):
        linear = linear.updated(option, reward / (reward + rest + 1))
    for beliefs in (beta, linear):
        found = Policy(rule, epsilon).propensities(beliefs, options)
        assert found.sum() == pytest.approx(1, abs=1e-12)
        assert (found >= epsilon / len(options) - 1e-12).all()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("beliefs", [BETA, LINEAR], ids=["beta", "linear"])
def test_what_is_chosen_is_chosen_as_often_as_its_propensity_says(
    rule: Rule, beliefs: Beliefs
) -> None:
    found = choices(rule, beliefs)
    of_item = found[0].item_propensities
    expected: dict[str | None, float] = {None: 1 - found[0].slot_propensity}
    expected |= {name: found[0].slot_propensity * chance for name, chance in of_item.items()}
    assert sum(expected.values()) == pytest.approx(1, abs=1e-12)
    assert all(choice.propensity == pytest.approx(expected[choice.item_id]) for choice in found)
    counts = Counter(choice.item_id for choice in found)
    distance = sum(
        (counts[name] - chance * NUM_REQUESTS) ** 2 / (chance * NUM_REQUESTS)
        for name, chance in expected.items()
    )
    assert distance < CHI_SQUARE_3


def test_a_planted_reward_is_estimated_without_bias_by_its_propensities() -> None:
    """Each action has a planted reward; Σ 1{a chosen} r / p, over n, is near r for each action."""
    rewards = {None: 0.1, "gen-0": 0.3, "gen-1": 0.9, "gen-2": 0.5}
    found = choices("thompson", BETA)
    for name, reward in rewards.items():
        each = np.array([reward / c.propensity if c.item_id == name else 0.0 for c in found])
        assert abs(each.mean() - reward) < 3.3 * each.std() / math.sqrt(NUM_REQUESTS)


def test_the_same_request_makes_the_same_choice_and_another_salt_other_choices() -> None:
    beliefs = SlotBeliefs(BETA, BETA)
    salts = {
        salt: [
            choose_for_slot(SlotPolicy(salt=salt), beliefs, ITEMS, request(n), CONSTRAINTS).item_id
            for n in range(50)
        ]
        for salt in ("one", "two")
    }
    policy = SlotPolicy(salt="one")
    again = [choose_for_slot(policy, beliefs, ITEMS, request(n), CONSTRAINTS) for n in range(50)]
    assert [choice.item_id for choice in again] == salts["one"] != salts["two"]


def test_with_nothing_placeable_the_empty_slot_is_certain() -> None:
    choice = choose_for_slot(SlotPolicy(), SlotBeliefs(BETA, BETA), [], request(1), CONSTRAINTS)
    assert choice == SlotChoice(None, 1.0, 0.0, {})


def test_what_was_chosen_among_the_placeable_is_placed() -> None:
    """So the logged propensity is that of what the user sees, every constraint applied."""
    catalog = Candidates.scored([ScoredItem("a", 0.6), ScoredItem("b", 0.2)])
    offers = [Offer("gen-0", 0.5), Offer("gen-1", 0.01), Offer("gen-2", 0.7)]
    constraints = BlendConstraints((0, 1), min_score=0.05, share=0.5)
    shown = Counter[str | None]()
    for number in range(400):
        can = {one.item_id: one for one in placeable(catalog, offers, request(number), constraints)}
        options = [option for option in ITEMS if option.name in can]
        choice = choose_for_slot(
            SlotPolicy(), SlotBeliefs(BETA, BETA), options, request(number), constraints
        )
        chosen = [] if choice.item_id is None else [can[choice.item_id]]
        slate = blend(catalog, chosen, request(number), constraints).placements
        generated = [place.item_id for place in slate if place.is_generated]
        assert generated == [offer.item_id for offer in chosen]
        shown[choice.item_id] += 1
    assert set(shown) == {None, "gen-0", "gen-2"}


def test_a_uniform_number_falls_on_the_option_whose_share_it_is_in() -> None:
    shares = np.array([0.25, 0.0, 0.75])
    assert [draw(shares, u) for u in (0.0, 0.2499, 0.25, 1 - 2**-53)] == [0, 0, 2, 2]
    tenths = np.full(10, 0.1)  # their sum is rounded to less than one
    assert draw(tenths, 1 - 2**-53) == 9


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"rule": "best"}, "policy.rule must be one of greedy, thompson, ucb, got 'best'"),
        ({"epsilon": 0}, "policy.epsilon must be above 0 and at most 1, got 0"),
        ({"width": math.inf}, "policy.width must be 0 or more and finite, got inf"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(settings_: dict[str, float], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Policy(**settings_)  # type: ignore[arg-type]
