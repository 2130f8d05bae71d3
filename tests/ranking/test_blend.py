"""Hand-made slates: each constraint by itself, and its effect."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pigeon_recsys.ranking.blend import Blend, blend, placeable
from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates, Offer, Shown
from pigeon_recsys.ranking.constraints import (
    BlendConstraints,
    FrequencyCap,
    Neighbours,
    Window,
)
from pigeon_recsys.ranking.verdicts import Code
from pigeon_recsys.records import ScoredItem, Vectors

CATALOG = [ScoredItem("a", 0.9), ScoredItem("b", 0.7), ScoredItem("c", 0.5), ScoredItem("d", 0.3)]
ANYWHERE = tuple(range(20))
EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
NOWHERE = np.zeros(2, np.float32)
HOUR_MS = 3_600_000


def gen(probability: float, name: str = "gen", **fields: Any) -> Offer:
    return Offer(name, probability, **fields)


def wear(item_id: str, probability: float = 0.5, name: str = "pic") -> Offer:
    return Offer(name, probability, "creative", item_id)


def blended(
    offers: Sequence[Offer],
    *positions: int,
    size: int = 4,
    catalog: Candidates | None = None,
    now_ms: int = 0,
    shown: Sequence[Shown] = (),
    **constraints: Any,
) -> Blend:
    request = BlendRequest("ada", "r1", size, now_ms, shown)
    allowed = BlendConstraints(positions or ANYWHERE, **constraints)
    return blend(catalog or Candidates.scored(CATALOG), offers, request, allowed)


def ids(result: Blend) -> str:
    """The slate's ids as one text; a worn creative follows its item."""
    return " ".join(
        place.item_id + (f"[{place.creative_id}]" if place.creative_id else "")
        for place in result.placements
    )


def codes(result: Blend) -> dict[str, str]:
    return {name: str(verdict.code) for name, verdict in result.verdicts.items()}


def given(*probabilities: float | None, vectors: Vectors | None = None) -> Candidates:
    """Candidates a, b, c … in the caller's order, with scores of the caller's own scale."""
    items = [ScoredItem(chr(97 + row), 40.0 - row) for row in range(len(probabilities))]
    return Candidates(items, probabilities, vectors)


def test_it_stands_where_its_score_ranks_it() -> None:
    result = blended([gen(0.6)])
    assert (ids(result), result.reason) == ("a b gen c", "generated item gen in place 3")


def test_it_moves_down_to_the_next_allowed_position_never_up() -> None:
    assert ids(blended([gen(0.8)], 0, 3)) == "a b c gen"


def test_an_equal_score_leaves_the_catalog_item_ahead() -> None:
    assert ids(blended([gen(0.9)])) == "a gen b c"


def test_it_is_not_placed_where_no_allowed_position_is_low_enough() -> None:
    result = blended([gen(0.4)], 0, 1)
    line = "generated item gen not placed: ranks 4, and no allowed position from there on is free"
    assert (ids(result), result.reason) == ("a b c d", line)
    assert codes(result) == {"gen": Code.ALLOWED_POSITIONS}


def test_it_is_not_placed_below_the_end_of_the_slate() -> None:
    assert ids(blended([gen(0.4)], 3, size=3)) == "a b c"


def test_a_low_score_is_not_placed_and_one_at_the_minimum_is() -> None:
    result = blended([gen(0.8)], min_score=0.85)
    line = "generated item gen not placed: scores 0.8, below the minimum of 0.85"
    assert (ids(result), result.reason) == ("a b c d", line)
    assert ids(blended([gen(0.8)], min_score=0.8)) == "a gen b c"


def test_at_most_the_allowed_number_is_placed_best_first() -> None:
    result = blended([gen(0.6, "low"), gen(0.8, "high")])
    assert (ids(result), result.reason) == (
        "a high b c",
        "generated item high in place 2; "
        "generated item low not placed: exceeds the 1 allowed on one slate",
    )


def test_placed_generated_items_count_in_the_rank_of_the_next() -> None:
    """`high` merits place 2, and `low`, below a, high and b, place 4."""
    assert ids(blended([gen(0.6, "low"), gen(0.8, "high")], max_generated=2)) == "a high b low"


def test_a_less_probable_item_never_stands_above_a_more_probable_one() -> None:
    """`high` may not stand beside `a` and moves below it; `low`, though allowed there, does not."""
    catalog = given(0.6, 0.5, 0.4, vectors=np.stack([EAST, NOWHERE, NOWHERE]))
    offers = [gen(0.9, "high", vector=EAST), gen(0.8, "low", vector=NORTH)]
    result = blended(
        offers, catalog=catalog, size=5, max_generated=2, neighbours=Neighbours(1, 0.9)
    )
    assert ids(result) == "a b high low c"


def test_zero_generated_turns_the_slot_off() -> None:
    assert ids(blended([gen(0.99)], max_generated=0)) == "a b c d"


def test_the_callers_order_and_scores_are_kept_as_given() -> None:
    result = blended([gen(0.5)], catalog=given(0.6, 0.2, 0.4), order="as_given")
    assert ids(result) == "a gen b c"
    assert [(p.score, p.probability) for p in result.placements if p.item_id != "gen"] == [
        (40.0, 0.6),
        (39.0, 0.2),
        (38.0, 0.4),
    ]


def test_in_an_order_of_the_callers_own_it_stands_where_fewest_are_on_the_wrong_side() -> None:
    """Against 0.5: above, below, above, above, below. Below the fourth, one is on the wrong side.

    At the first place three would be, below the first two, below the second three.
    """
    catalog = given(0.6, 0.1, 0.7, 0.8, 0.2)
    assert ids(blended([gen(0.5)], catalog=catalog, size=9, order="as_given")) == "a b c d gen e"


def test_candidates_without_a_probability_do_not_count() -> None:
    assert ids(blended([gen(0.5)], 1, 2, catalog=given(None, None), order="as_given")) == "a gen b"
    assert ids(blended([gen(0.5)], catalog=given(None, 0.6, 0.1), order="as_given")) == "a b gen c"


def test_it_takes_the_first_allowed_position_where_probabilities_are_not_to_count() -> None:
    assert ids(blended([gen(0.01)], 2, 3, place="first_allowed")) == "a b gen c"


def test_generated_pictures_keep_their_distance() -> None:
    offers = [gen(0.8, "g1"), gen(0.79, "g2")]
    result = blended(offers, max_generated=2, min_distance=3, size=6)
    assert ids(result) == "a g1 b c g2 d"
    refused = blended(offers, max_generated=2, min_distance=3)
    assert refused.verdicts["g2"].code == Code.MIN_DISTANCE
    assert refused.verdicts["g2"].line == (
        "generated item g2 not placed: place 3 is 1 from a generated picture, the least is 3"
    )


def test_a_window_holds_no_more_than_it_may() -> None:
    offers = [gen(0.99, "g1"), gen(0.98, "g2"), gen(0.97, "g3")]
    result = blended(offers, size=7, max_generated=3, window=Window(2, 4))
    assert ids(result) == "g1 g2 a b g3 c d"
    refused = blended(offers, max_generated=3, window=Window(2, 4))
    assert refused.verdicts["g3"].code == Code.WINDOW
    assert "3 of 4 positions in a row would be generated, where 2 may be" in refused.reason


def test_an_item_is_not_shown_more_often_than_its_cap_within_the_hours() -> None:
    now = 100 * HOUR_MS
    shown = [Shown("gen", now - HOUR_MS), Shown("gen", now - 23 * HOUR_MS), Shown("x", now)]
    cap = FrequencyCap(2, 24)
    result = blended([gen(0.8)], now_ms=now, shown=shown, item_cap=cap)
    assert codes(result) == {"gen": Code.ITEM_CAP}
    assert "the user was shown it 2 times in 24 hours, 2 may be" in result.reason
    assert codes(blended([gen(0.8)], now_ms=now + 2 * HOUR_MS, shown=shown, item_cap=cap)) == {
        "gen": Code.PLACED
    }


def test_a_users_cap_counts_this_slate_too() -> None:
    shown = [Shown("x", 0)]
    result = blended(
        [gen(0.8, "g1"), gen(0.7, "g2")],
        shown=shown,
        max_generated=2,
        user_cap=FrequencyCap(2, 1),
    )
    assert codes(result) == {"g1": Code.PLACED, "g2": Code.USER_CAP}


def test_it_moves_away_from_a_neighbour_that_looks_like_it() -> None:
    vectors = np.stack([NORTH, EAST, NORTH, NORTH, NORTH])
    catalog = given(0.5, 0.4, 0.3, 0.2, 0.1, vectors=vectors)
    near = {"neighbours": Neighbours(2, 0.9), "catalog": catalog, "size": 6}
    assert ids(blended([gen(0.45, vector=EAST)], **near)) == "a b c d gen e"
    refused = blended([gen(0.45, vector=EAST)], 1, **near)
    assert codes(refused) == {"gen": Code.NEIGHBOURS}
    assert "place 2 is near item b, which looks too much like it" in refused.reason


def test_generated_items_that_look_alike_are_no_neighbours() -> None:
    offers = [gen(0.99, "g1", vector=EAST), gen(0.98, "g2", vector=EAST)]
    result = blended(offers, max_generated=2, neighbours=Neighbours(1, 0.9))
    assert ids(result) == "g1 a g2 b"


def test_it_does_not_stand_beside_the_item_it_was_made_from() -> None:
    result = blended([gen(0.8, reference_id="b")], neighbours=Neighbours(1, 0.9), size=5)
    assert ids(result) == "a b c gen d"
    refused = blended([gen(0.8, reference_id="b")], 1, neighbours=Neighbours(1, 0.9))
    assert codes(refused) == {"gen": Code.REFERENCE}


def test_a_neighbour_below_the_end_of_the_slate_is_none() -> None:
    offer = gen(0.8, reference_id="b")
    assert ids(blended([offer], size=2, neighbours=Neighbours(1, 0.9))) == "a gen"


def test_what_is_a_candidate_already_is_not_placed() -> None:
    catalog = Candidates(CATALOG, [0.9, 0.7, 0.5, 0.3], np.stack([EAST] * 4), ["h", None, "k", "h"])
    same_id, same, copy = gen(0.8, "b"), gen(0.8, content_hash="k"), gen(0.8, vector=EAST)
    result = blended([same_id], catalog=catalog)
    assert (ids(result), codes(result)) == ("a b c d", {"b": Code.SAME_ID})
    assert codes(blended([same], catalog=catalog)) == {"gen": Code.SAME_CONTENT}
    near = blended([copy], catalog=catalog, near_copy_cosine=0.98)
    assert codes(near) == {"gen": Code.NEAR_COPY}
    assert codes(blended([copy], catalog=catalog)) == {"gen": Code.PLACED}


def test_two_offers_of_one_picture_are_placed_once() -> None:
    offers = [gen(0.8, "g1", content_hash="k"), gen(0.7, "g2", content_hash="k")]
    assert codes(blended(offers, max_generated=2))["g2"] == Code.SAME_CONTENT
    alike = [gen(0.8, "g1", vector=EAST), gen(0.7, "g2", vector=EAST)]
    assert codes(blended(alike, max_generated=2, near_copy_cosine=0.99))["g2"] == Code.NEAR_COPY


@pytest.mark.parametrize(
    ("constraints", "code"),
    [
        ({"switch": "kill_switch"}, Code.KILL_SWITCH),
        ({"switch": "surface_off"}, Code.SURFACE_OFF),
        ({"share": 0.0}, Code.SHARE),
    ],
)
def test_a_switch_leaves_the_callers_slate_as_it_is(
    constraints: dict[str, Any], code: Code
) -> None:
    catalog = given(0.1, 0.5, 0.3)
    result = blended([gen(0.8), wear("a")], catalog=catalog, order="as_given", **constraints)
    assert (ids(result), codes(result)) == ("a b c", {"gen": code, "pic": code})


def test_the_share_of_slates_is_exact_in_the_long_run_and_another_salt_draws_others() -> None:
    """Of 4,000 slates 0.3: 1,200, with a standard deviation of 29."""
    drawn = {
        salt: {
            number
            for number in range(4000)
            if blend(
                Candidates([]),
                [gen(0.5)],
                BlendRequest("ada", f"r{number}", 1),
                BlendConstraints((0,), share=0.3, salt=salt),
            ).placements
        }
        for salt in ("one", "two")
    }
    assert all(abs(len(slates) - 1200) < 4 * 29 for slates in drawn.values())
    assert abs(len(drawn["one"] & drawn["two"]) - 360) < 4 * 18


def test_a_creative_changes_the_picture_and_nothing_else() -> None:
    result = blended([wear("c", 0.99)])
    assert ids(result) == "a b c[pic] d"
    plain = blended([]).placements[2]
    worn = result.placements[2]
    assert (worn.score, worn.probability, worn.is_generated) == (
        plain.score,
        plain.probability,
        False,
    )
    assert result.reason == "generated picture pic for item c in place 3"


def test_a_creative_for_an_item_that_is_not_shown_is_not_worn() -> None:
    assert codes(blended([wear("d")], size=3)) == {"pic": Code.NOT_ON_SLATE}
    assert codes(blended([wear("z")])) == {"pic": Code.NOT_ON_SLATE}
    pushed_off = blended([gen(0.8), wear("d")], max_generated=2)
    assert codes(pushed_off) == {"gen": Code.PLACED, "pic": Code.NOT_ON_SLATE}


def test_an_item_wears_one_creative_the_most_probable() -> None:
    result = blended([wear("a", 0.4, "p1"), wear("a", 0.6, "p2")], max_generated=2)
    assert (ids(result), codes(result)["p1"]) == ("a[p2] b c d", Code.PICTURE_TAKEN)


def test_creatives_count_with_items_in_number_distance_and_window() -> None:
    offers = [gen(0.8), wear("b", 0.9)]
    assert codes(blended(offers))["pic"] == Code.MAX_GENERATED
    assert codes(blended(offers, max_generated=2, min_distance=2))["pic"] == Code.MIN_DISTANCE
    assert codes(blended(offers, max_generated=2, window=Window(1, 2)))["pic"] == Code.WINDOW
    assert ids(blended([gen(0.8), wear("c")], max_generated=2, min_distance=2)) == "a gen b c[pic]"


def test_without_generated_items_the_reason_says_so() -> None:
    result = blended([])
    assert (ids(result), result.reason) == ("a b c d", "no generated item was given")


def test_no_gap_is_left_where_candidates_are_fewer_than_positions() -> None:
    catalog = Candidates.scored([CATALOG[0]])
    assert ids(blended([gen(0.5)], 5, catalog=catalog, size=10)) == "a"


def test_a_generated_item_may_stand_alone() -> None:
    slate = blended([gen(0.5)], 0, 1, catalog=Candidates([]), size=3).placements
    assert [(p.position, p.item_id, p.is_generated) for p in slate] == [(0, "gen", True)]


def test_of_a_candidate_given_twice_the_better_or_the_first_counts() -> None:
    catalog = Candidates.scored([ScoredItem("a", 0.1), ScoredItem("b", 0.5), ScoredItem("a", 0.9)])
    by_score = blended([], catalog=catalog)
    assert [(p.item_id, p.score) for p in by_score.placements] == [("a", 0.9), ("b", 0.5)]
    as_given = blended([], catalog=catalog, order="as_given")
    assert [(p.item_id, p.score) for p in as_given.placements] == [("a", 0.1), ("b", 0.5)]


def test_placeable_are_the_offers_that_would_be_shown_alone() -> None:
    offers = [gen(0.8, "high"), gen(0.6, "low"), gen(0.1, "bad"), wear("a", 0.3, "worn"), wear("z")]
    constraints = BlendConstraints(ANYWHERE, min_score=0.2, share=0.0)
    request = BlendRequest("ada", "r1", 4)
    found = placeable(Candidates.scored(CATALOG), offers, request, constraints)
    assert [offer.item_id for offer in found] == ["high", "low", "worn"]
    off = BlendConstraints(ANYWHERE, switch="kill_switch")
    assert placeable(Candidates.scored(CATALOG), offers, request, off) == ()
