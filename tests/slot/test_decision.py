"""What the slot logs of a slate: everything that decided it, with exact chances."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.ranking.beliefs import BetaBeliefs, LinearBeliefs
from pigeon_recsys.ranking.calibration import Outcomes, fit_calibration
from pigeon_recsys.ranking.constraints import BlendConstraints, BlendPolicy
from pigeon_recsys.ranking.experiments import Experiment
from pigeon_recsys.ranking.exploration import Policy, SlotBeliefs, SlotPolicy
from pigeon_recsys.records import ScoredItem
from pigeon_recsys.slot.context import ITEM_FEATURES, SLOT_FEATURES
from pigeon_recsys.slot.settings import SlotSettings, SlotTest
from pigeon_recsys.testing.fake_slate_log import FakeSlateLog
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore
from tests.slot.conftest import ANYWHERE, MakeRequest, MakeSlot

OWN = tuple(ScoredItem(f"item-0{number}", float(number)) for number in (9, 5, 8, 6, 7))


def sharing(share: float) -> SlotSettings:
    constraints = BlendConstraints(tuple(range(10)), order="as_given", share=share)
    return replace(ANYWHERE, blending=BlendPolicy(constraints))


def test_a_decision_says_what_was_seen_and_what_was_shown(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    log = FakeSlateLog()
    slot = make_slot(log=log)
    slate = slot.fill(request_of("ada", candidates=OWN, surface="home"))
    (decision,) = log.decisions
    assert slate.generation is not None
    assert decision.action == slate.generation.item_id
    assert decision.placements == slate.placements
    assert decision.candidate_ids == tuple(item.item_id for item in OWN)
    assert decision.candidate_scores == tuple(item.score for item in OWN)
    assert all(p is not None and 0 < p < 1 for p in decision.candidate_probabilities)
    assert decision.candidate_raw_scores == decision.candidate_probabilities
    assert (decision.surface, decision.rung) == ("home", "fresh")
    assert (decision.propensity, decision.slot_propensity) == (1.0, 1.0)
    assert decision.versions == {"generator": slot.parts.generator.version}  # type: ignore[union-attr]
    assert list(decision.latency_ms) == [
        "history",
        "candidates",
        "pictures",
        "ranking",
        "blending",
    ]
    assert 0 < sum(decision.latency_ms.values()) <= decision.total_ms


def test_an_empty_slot_is_logged_with_the_reason(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    log = FakeSlateLog()
    make_slot(log=log).fill(request_of("nobody", candidates=OWN, deadline_ms=0.0))
    (decision,) = log.decisions
    assert (decision.action, decision.rung, decision.propensity) == (None, "catalog", 1.0)
    assert decision.reason == "the deadline was over before the work began"
    assert decision.num_candidates == 5
    assert decision.candidate_raw_scores == ()


def test_without_a_policy_the_chance_is_the_share(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    log = FakeSlateLog()
    slot = make_slot(sharing(0.3), log=log)
    for number in range(60):
        slot.fill(request_of("ada", request_id=f"r{number}"))
    filled = [each for each in log.decisions if each.action]
    assert 8 <= len(filled) <= 30
    assert {each.propensity for each in filled} == {0.3}
    assert {each.propensity for each in log.decisions if not each.action} == {0.7}
    (code,) = {each.offered[0].code for each in log.decisions if not each.action}
    assert code == "share"


def test_with_a_policy_the_logged_chances_estimate_what_another_policy_would_earn(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    """Of slates with the slot six in ten earn, of others two: IPS finds both."""
    log = FakeSlateLog()
    policy = SlotPolicy(Policy("greedy", epsilon=0.5), Policy("greedy", epsilon=0.5))
    beliefs = SlotBeliefs(BetaBeliefs(counts={"slot": (9.0, 1.0)}), BetaBeliefs())
    slot = make_slot(replace(sharing(0.8), policy=policy), log=log, beliefs=beliefs)
    count = 400
    for number in range(count):
        slot.fill(request_of("ada", request_id=f"r{number}"))
    of_slot = of_none = 0.0
    for number, decision in enumerate(log.decisions):
        reward = float(number % 10 < (6 if decision.action else 2))
        if decision.action:
            assert decision.propensity == pytest.approx(0.8 * 0.75)
            of_slot += reward / decision.propensity
        else:
            assert decision.propensity == pytest.approx(1 - 0.8 * 0.75)
            of_none += reward / decision.propensity
    assert of_slot / count == pytest.approx(0.6, abs=0.1)
    assert of_none / count == pytest.approx(0.2, abs=0.1)


def test_linear_beliefs_see_the_slates_context(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    log = FakeSlateLog()
    beliefs = SlotBeliefs(LinearBeliefs(len(SLOT_FEATURES)), LinearBeliefs(len(ITEM_FEATURES)))
    policy = SlotPolicy(Policy("ucb"), Policy("thompson"))
    make_slot(replace(ANYWHERE, policy=policy), log=log, beliefs=beliefs).fill(request_of("ada"))
    (decision,) = log.decisions
    assert tuple(decision.context) == SLOT_FEATURES
    assert decision.context["best_offer"] == pytest.approx(0.9)
    assert decision.context["history"] == pytest.approx(3 / 50)


def test_offers_are_calibrated_as_generated_and_candidates_as_catalog(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    scores = [0.9] * 400 + [0.5] * 400
    outcomes = [float(n % 10 == 0) for n in range(400)] + [float(n % 2) for n in range(400)]
    calibration = fit_calibration(
        Outcomes(
            np.array(scores),
            ["generated"] * 400 + ["catalog"] * 400,
            np.array(outcomes),
            ["u"] * 800,
        )
    )
    log, plain = FakeSlateLog(), FakeSlateLog()
    make_slot(log=log, calibration=calibration).fill(request_of("ada", candidates=OWN))
    make_slot(log=plain).fill(request_of("ada", candidates=OWN))
    assert log.decisions[0].candidate_raw_scores == plain.decisions[0].candidate_probabilities
    assert log.decisions[0].candidate_probabilities != log.decisions[0].candidate_raw_scores
    (offered,) = log.decisions[0].offered
    assert offered.score == pytest.approx(0.9)
    assert offered.probability is not None
    assert offered.probability < 0.5
    assert log.decisions[0].versions["calibration"] == calibration.version


def test_the_policys_version_is_of_its_rules_and_of_what_it_learned(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    log, other = FakeSlateLog(), SlotBeliefs(BetaBeliefs(), BetaBeliefs(2.0, 1.0))
    for policy, beliefs in (
        (SlotPolicy(), None),
        (SlotPolicy(), None),
        (SlotPolicy(salt="another"), None),
        (SlotPolicy(), other),
    ):
        parts = {} if beliefs is None else {"beliefs": beliefs}
        slot = make_slot(replace(ANYWHERE, policy=policy), log=log, **parts)
        slot.fill(request_of("ada"))
    first, again, salted, learned = [each.versions["policy"] for each in log.decisions]
    assert first == again
    assert len({first, salted, learned}) == 3


def test_a_users_test_bucket_is_logged(make_slot: MakeSlot, request_of: MakeRequest) -> None:
    log = FakeSlateLog()
    test = SlotTest(Experiment("autumn", {"all": 1.0}), frozenset())
    make_slot(replace(ANYWHERE, test=test), log=log).fill(request_of("ada"))
    assert (log.decisions[0].experiment, log.decisions[0].bucket) == ("autumn", "all")


def test_a_creative_is_worn_by_the_item_it_was_made_from(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    log = FakeSlateLog()
    slot = make_slot(replace(ANYWHERE, kind="creative"), log=log)
    slate = slot.fill(request_of("ada", candidates=OWN))
    assert [place.item_id for place in slate.placements] == [item.item_id for item in OWN]
    assert slate.generation is not None
    worn = {place.item_id: place.creative_id for place in slate.placements if place.creative_id}
    assert worn == {"item-07": slate.generation.item_id}
    assert [item.item_id for item in slate.items] == [slate.generation.item_id]
    assert log.decisions[0].shown_id == "item-07"


def test_of_stored_pictures_the_placed_one_comes_with_the_slate(
    make_slot: MakeSlot, request_of: MakeRequest
) -> None:
    store, log = FakeGeneratedItemStore(), FakeSlateLog()
    first = make_slot().fill(request_of("ada")).generation
    assert first is not None
    slot = make_slot(generator=None, stored=store, log=log)
    store.put([slot._described(first)])
    slate = slot.fill(request_of("ada", candidates=OWN))
    assert (slate.rung, slate.generation) == ("stored", None)
    assert [item.item_id for item in slate.items] == [first.item_id]
    assert log.decisions[0].rung == "stored"


def test_a_log_that_fails_costs_nothing(make_slot: MakeSlot, request_of: MakeRequest) -> None:
    slate = make_slot(log=FakeSlateLog(failures_left=1)).fill(request_of("ada"))
    assert any(place.is_generated for place in slate.placements)
