"""Calibration's outcomes from a log: the raw score, the source and the chance of what was seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from pigeon_recsys.decisions import Decision, Offered
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ranking.logged_scores import LoggedScores, logged_scores
from pigeon_recsys.ranking.seen_slates import SeenSlate
from pigeon_recsys.records import Placement
from tests.ranking.seen_log import ITEM, MADE, decision_of


def scores_of(*seen: tuple[Decision, dict[str, bool]]) -> LoggedScores:
    return logged_scores(SeenSlate(*each) for each in seen)


def test_a_picture_has_its_offers_score_and_an_item_the_rankers_raw_one() -> None:
    found = scores_of((decision_of(1), {MADE: True, ITEM: False})).outcomes
    assert found.scores.tolist() == [0.9, 0.6]
    assert list(found.sources) == ["generated", "catalog"]
    assert found.outcomes.tolist() == [1, 0]
    assert list(found.user_ids) == ["u1", "u1"]


def test_a_picture_weighs_one_over_its_chance_and_a_catalog_item_one() -> None:
    assert scores_of((decision_of(1), {MADE: True, ITEM: True})).outcomes.weight.tolist() == [2, 1]
    alone = scores_of((decision_of(1), {ITEM: True})).outcomes
    assert alone.weights is None


def test_a_picture_beside_the_action_weighs_one_over_the_chance_of_the_slot() -> None:
    """Without a policy several are placed, and only the best is the action."""
    decision = decision_of(1)
    other = Offered("gen-2", "item", "generated", 0.8, 0.6, "placed", "", 0.0)
    places = (*decision.placements, Placement(2, "gen-2", 0.6, is_generated=True))
    both = replace(decision, offered=(*decision.offered, other), placements=places)
    found = scores_of((both, {"gen-2": True})).outcomes
    assert (found.scores.tolist(), found.weight.tolist()) == ([0.8], [2])


def test_an_item_that_wears_a_picture_is_the_pictures_source() -> None:
    decision = decision_of(1)
    (offered,) = decision.offered
    worn = replace(
        decision,
        placements=(Placement(0, ITEM, 3.0, is_generated=False, creative_id=MADE),),
        offered=(replace(offered, kind="creative"),),
    )
    found = scores_of((worn, {ITEM: True})).outcomes
    assert (list(found.sources), found.scores.tolist()) == (["generated"], [0.9])


def test_what_has_no_score_is_left_out_and_counted() -> None:
    """`item-2` was not ranked, `item-9` is beyond what is logged, the other log is of before."""
    old = decision_of(2, candidate_raw_scores=())
    found = scores_of(
        (decision_of(1), {ITEM: True, "item-2": True, "item-9": True}), (old, {ITEM: True})
    )
    assert (found.outcomes.scores.tolist(), found.num_without_score) == ([0.6], 3)


def test_scores_of_an_earlier_ranker_are_left_out() -> None:
    old, new = (decision_of(n, versions={"ranker": name}) for n, name in ((1, "a"), (2, "b")))
    older = decision_of(0, versions={"ranker": "b"}, candidate_raw_scores=(0.5, None))
    found = scores_of((older, {ITEM: True}), (old, {ITEM: True}), (new, {ITEM: False}))
    assert found.outcomes.scores.tolist() == [0.5, 0.6]
    assert (found.ranker, found.num_of_others) == ("b", 1)


def test_a_log_without_any_score_is_refused_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"1 seen items have no score\. Report exposures, wait"):
        scores_of((decision_of(1, candidate_raw_scores=()), {ITEM: True}))
    with pytest.raises(SettingsError, match="0 seen items have no score"):
        scores_of()


def test_a_log_on_disk_is_read_as_one_in_memory(tmp_path: Path) -> None:
    from pigeon_recsys.ranking.seen_slates import SeenSlates
    from tests.ranking.seen_log import seen, write_log

    decision = decision_of(1)
    log = write_log(tmp_path, decision, seen(decision, MADE))
    found = logged_scores(SeenSlates(log)).outcomes
    assert (found.scores.tolist(), found.outcomes.tolist()) == ([0.9], [0])
