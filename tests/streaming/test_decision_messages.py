"""Decisions and outcomes as messages: what is read is what was sent, or the fault is named."""

import json
import math
from typing import Any

import pytest

from pigeon_recsys.decisions import MAX_CANDIDATES, MAX_ID, Decision
from pigeon_recsys.errors import EventError
from pigeon_recsys.streaming.decision_messages import MAX_BYTES, JsonDecisions, JsonOutcomes
from pigeon_recsys.testing.slate_log_contract import (
    make_decision,
    make_empty_decision,
    make_outcome,
)


def value_with(**changed: Any) -> bytes:
    return json.dumps({**json.loads(JsonDecisions().encode(make_decision())), **changed}).encode()


@pytest.mark.parametrize("decision", [make_decision(), make_empty_decision()])
def test_a_decision_comes_back_exactly(decision: Decision) -> None:
    assert JsonDecisions().decode(JsonDecisions().encode(decision)) == decision


def test_what_is_not_known_is_ignored() -> None:
    assert JsonDecisions().decode(value_with(mood="blue")) == make_decision()


def test_a_message_of_before_raw_scores_were_told_is_read_without_them() -> None:
    told = json.loads(JsonDecisions().encode(make_decision()))
    del told["candidate_raw_scores"]
    found = JsonDecisions().decode(json.dumps(told).encode())
    assert found == make_decision(candidate_raw_scores=())


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"propensity": 0.5}, "the propensity of gen-1 is 0.5"),
        ({"slot_propensity": 1.5}, "slot_propensity: Input should be less than or equal to 1"),
        ({"candidate_scores": [1.0]}, "2 candidates, 1 scores"),
        ({"version": 2}, "version: Input should be 1"),
        ({"offered": [{"item_id": "gen-1"}]}, "offered.0.kind: Field required"),
    ],
)
def test_a_decision_that_is_none_is_refused(changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(EventError, match=fault) as caught:
        JsonDecisions().decode(value_with(**changed))
    assert caught.value.reason == "wrong-schema"


@pytest.mark.parametrize(
    "changed",
    [
        {"candidate_scores": (math.nan, 1.0)},
        {"context": {"recency": math.inf}},
        {"user_id": ""},
        {"user_id": "\ud800"},
    ],
)
def test_nothing_is_encoded_that_would_be_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        JsonDecisions().encode(make_decision(**changed))


def test_the_largest_honest_decision_is_a_message_that_brokers_take() -> None:
    decision = make_decision(
        num_candidates=MAX_CANDIDATES,
        candidate_ids=tuple(f"{number:0256}" for number in range(MAX_CANDIDATES)),
        candidate_scores=(1 / 3,) * MAX_CANDIDATES,
        candidate_probabilities=(2 / 3,) * MAX_CANDIDATES,
        candidate_raw_scores=(1 / 7,) * MAX_CANDIDATES,
    )
    assert len(decision.candidate_ids[0]) == MAX_ID
    assert len(JsonDecisions().encode(decision)) < MAX_BYTES


def test_a_decision_too_large_for_brokers_is_refused() -> None:
    wide = tuple("漢" * MAX_ID for _ in range(MAX_CANDIDATES))
    decision = make_decision(
        num_candidates=MAX_CANDIDATES,
        candidate_ids=wide,
        candidate_scores=(1 / 3,) * MAX_CANDIDATES,
        candidate_probabilities=(2 / 3,) * MAX_CANDIDATES,
        candidate_raw_scores=(1 / 7,) * MAX_CANDIDATES,
        reason="漢" * 1_000,
        context={f"{number:0200}": 1.0 for number in range(1_500)},
    )
    with pytest.raises(EventError, match="bytes, 1000000 allowed"):
        JsonDecisions().encode(decision)


def test_an_outcome_comes_back_and_another_kind_is_refused() -> None:
    for outcome in (make_outcome(), make_outcome(kind="click", event=None)):
        assert JsonOutcomes().decode(JsonOutcomes().encode(outcome)) == outcome
    value = JsonOutcomes().encode(make_outcome()).replace(b'"kind":"like"', b'"kind":"buy"')
    with pytest.raises(EventError, match="kind: Input should be 'click'"):
        JsonOutcomes().decode(value)
