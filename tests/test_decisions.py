"""A decision says exactly what was chosen and by what chance, or cannot be made."""

from dataclasses import replace
from typing import Any

import pytest

from pigeon_recsys import hashed_ids
from pigeon_recsys.decisions import Outcome, check_may_hash, without_user_id
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.hashed_ids import KEY_VARIABLE, hashed
from pigeon_recsys.ranking.beliefs import LinearBeliefs, Option
from pigeon_recsys.ranking.blend_input import BlendRequest
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.exploration import SlotBeliefs, SlotPolicy, choose_for_slot
from pigeon_recsys.testing.slate_log_contract import (
    make_decision,
    make_empty_decision,
    make_exposure,
    make_outcome,
)


@pytest.fixture
def _keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "key")
    hashed_ids._key.cache_clear()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"propensity": 0.5}, "the propensity of gen-1 is 0.5, where slot and item make it 0.09"),
        ({"propensity": 0.0, "slot_propensity": 0.0}, "the propensity of gen-1 is 0.0"),
        ({"action": "gen-9"}, "the propensity of gen-9 is 0.09"),
        ({"action": None}, "the propensity of no slot is 0.09.*, where slot and item make it 0.7"),
        ({"candidate_scores": (1.0,)}, "2 candidates, 1 scores and 2 probabilities must be as"),
        ({"candidate_raw_scores": (0.5,)}, "2 candidates have 1 raw scores, which must be as many"),
        ({"num_candidates": 1}, "num_candidates is 1, yet 2 are given"),
    ],
)
def test_a_decision_that_contradicts_itself_cannot_be_made(
    changed: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        make_decision(**changed)


def test_the_propensities_of_the_exploration_make_a_decision() -> None:
    beliefs = SlotBeliefs(LinearBeliefs(1), LinearBeliefs(1))
    options = [Option(name, "item", (1.0,)) for name in ("gen-1", "gen-other")]
    constraints = BlendConstraints(allowed_positions=(1,), share=0.6)
    for number in range(40):
        request = BlendRequest("ada", f"r{number}", 10)
        choice = choose_for_slot(
            SlotPolicy(), beliefs, options, request, constraints, slot_features=(1.0,)
        )
        offered = tuple(
            replace(each, propensity=choice.item_propensities[each.item_id])
            for each in make_decision().offered
        )
        decision = make_decision(
            action=choice.item_id,
            propensity=choice.propensity,
            slot_propensity=choice.slot_propensity,
            offered=offered,
        )
        assert (decision.item_propensity is None) == (choice.item_id is None)


def test_an_action_is_shown_as_itself_or_worn_by_a_catalog_item() -> None:
    """`gen-other` is the creative that item-2 wears."""
    decision = make_decision()
    assert decision.shown_id == "gen-1"
    other, chosen = decision.offered[1], decision.offered[0]
    worn = replace(
        decision, action="gen-other", offered=(replace(other, propensity=chosen.propensity),)
    )
    assert worn.shown_id == "item-2"
    assert make_empty_decision().shown_id is None


def test_an_outcome_says_only_what_is_known() -> None:
    with pytest.raises(ValueError, match="kind must be one of .*'click'.*, got 'purchase'"):
        make_outcome(kind="purchase")
    with pytest.raises(ValueError, match="event must be one of .* or None, got 'neutral'"):
        make_outcome(event="neutral")


def test_the_same_outcome_is_the_same_event_and_another_another() -> None:
    events = {
        outcome.event_id
        for outcome in (
            Outcome("ada", 1, "a", "b/c", "like"),
            Outcome("ada", 1, "a/b", "c", "like"),
            Outcome("ada", 1, "a", "b/c", "hide"),
        )
    }
    assert len(events) == 3
    assert make_outcome().event_id == replace(make_outcome(), at_ms=7).event_id


@pytest.mark.usefixtures("_keyed")
def test_hashed_entries_of_a_user_can_be_joined_and_name_nobody() -> None:
    decision = make_decision(user_id="ada", reason="no history is stored for user 'ada'.")
    exposure, outcome = (
        replace(make_exposure(), user_id="ada"),
        replace(make_outcome(), user_id="ada"),
    )
    found = [without_user_id(entry) for entry in (decision, exposure, outcome)]
    assert {entry.user_id for entry in found} == {hashed("ada")}
    assert "'ada'" not in repr(found)


def test_hashing_without_a_key_for_all_processes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(SettingsError, match="hash_users needs the environment variable PIGEON_LOG"):
        check_may_hash()
