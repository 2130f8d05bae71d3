"""Hand-made slates, then properties that hold for any candidates."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.errors import RankingError, SettingsError
from pigeon_recsys.ranking.blend import BlendConstraints, blend
from pigeon_recsys.records import ScoredItem

CATALOG = [ScoredItem("a", 0.9), ScoredItem("b", 0.7), ScoredItem("c", 0.5), ScoredItem("d", 0.3)]


def gen(score: float, name: str = "gen") -> ScoredItem:
    return ScoredItem(name, score)


def shown(
    generated: Sequence[ScoredItem], *positions: int, size: int = 4, **constraints: Any
) -> tuple[str, str]:
    """Return the slate's ids as one text, and the reason."""
    allowed = BlendConstraints(positions, **constraints)
    slate = blend(CATALOG, generated, size=size, constraints=allowed)
    return " ".join(placement.item_id for placement in slate.placements), slate.reason


def test_it_stands_where_its_score_ranks_it() -> None:
    assert shown([gen(0.6)], 0, 1, 2, 3) == ("a b gen c", "generated item gen in place 3")


def test_it_moves_down_to_the_next_allowed_position_never_up() -> None:
    assert shown([gen(0.8)], 0, 3) == ("a b c gen", "generated item gen in place 4")


def test_an_equal_score_leaves_the_catalog_item_ahead() -> None:
    assert shown([gen(0.9)], 0, 1)[0] == "a gen b c"


def test_it_is_not_placed_where_no_allowed_position_is_low_enough() -> None:
    assert shown([gen(0.4)], 0, 1) == (
        "a b c d",
        "generated item gen not placed: ranks 3, and no allowed position from there on is free",
    )


def test_it_is_not_placed_below_the_end_of_the_slate() -> None:
    assert shown([gen(0.4)], 3, size=3)[0] == "a b c"


def test_a_low_score_is_not_placed() -> None:
    assert shown([gen(0.8)], 1, min_score=0.85) == (
        "a b c d",
        "generated item gen not placed: scores 0.8, below the minimum of 0.85",
    )


def test_a_score_at_the_minimum_is_placed() -> None:
    assert shown([gen(0.8)], 1, min_score=0.8)[0] == "a gen b c"


def test_at_most_the_allowed_number_is_placed_best_first() -> None:
    assert shown([gen(0.6, "low"), gen(0.8, "high")], 0, 1, 2, 3) == (
        "a high b c",
        "generated item high in place 2; "
        "generated item low not placed: exceeds the 1 allowed on one slate",
    )


def test_placed_generated_items_count_in_the_rank_of_the_next() -> None:
    """`high` merits 1 and `low`, below a, high and b, merits 3."""
    placed, _ = shown([gen(0.6, "low"), gen(0.8, "high")], 0, 1, 2, 3, max_generated=2)
    assert placed == "a high b low"


def test_zero_generated_turns_the_slot_off() -> None:
    assert shown([gen(0.99)], 0, max_generated=0)[0] == "a b c d"


def test_an_id_that_is_a_candidate_already_stays_one_catalog_item() -> None:
    assert shown([gen(0.99, "b")], 0) == (
        "a b c d",
        "generated item b not placed: is a catalog candidate already",
    )


def test_without_generated_items_the_reason_says_so() -> None:
    assert shown([], 0) == ("a b c d", "no generated item was given")


def test_no_gap_is_left_where_candidates_are_fewer_than_positions() -> None:
    slate = blend([CATALOG[0]], [gen(0.5)], size=10, constraints=BlendConstraints((5,)))
    assert [placement.item_id for placement in slate.placements] == ["a"]


def test_a_generated_item_may_stand_alone() -> None:
    slate = blend([], [gen(0.5)], size=3, constraints=BlendConstraints((0, 1)))
    assert [(p.position, p.item_id, p.is_generated) for p in slate.placements] == [(0, "gen", True)]


def test_of_a_candidate_given_twice_the_better_score_counts() -> None:
    catalog = [ScoredItem("a", 0.1), ScoredItem("b", 0.5), ScoredItem("a", 0.9)]
    slate = blend(catalog, [], size=5, constraints=BlendConstraints((0,)))
    assert [(p.item_id, p.score) for p in slate.placements] == [("a", 0.9), ("b", 0.5)]


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused_with_its_item(score: float) -> None:
    with pytest.raises(RankingError, match=f"item 'bad' has the score {score}"):
        shown([gen(score, "bad")], 0)
    with pytest.raises(RankingError, match=f"item 'bad' has the score {score}"):
        blend([gen(score, "bad")], [], size=1, constraints=BlendConstraints((0,)))


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"allowed_positions": ()}, r"blend\.allowed_positions must be .*, got \[\]"),
        ({"allowed_positions": (2, 2)}, r"blend\.allowed_positions must be .*, got \[2, 2\]"),
        ({"allowed_positions": (0, -1)}, r"blend\.allowed_positions must be .*, got \[0, -1\]"),
        ({"max_generated": -1}, r"blend\.max_generated must be 0 or more, got -1"),
        ({"min_score": math.nan}, r"blend\.min_score must be a finite number, got nan"),
    ],
)
def test_constraints_that_cannot_work_are_refused_by_name(
    constraints: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        BlendConstraints(**{"allowed_positions": (1,), **constraints})


def test_a_slate_of_no_items_is_refused() -> None:
    with pytest.raises(SettingsError, match="slate size must be at least 1, got 0"):
        blend(CATALOG, [], size=0, constraints=BlendConstraints((0,)))


# Few distinct scores, so that ties are common.
SCORES = st.integers(0, 8).map(lambda eighths: eighths / 8)


def scored(prefix: str) -> st.SearchStrategy[list[ScoredItem]]:
    items = st.builds(ScoredItem, st.integers(0, 9).map(lambda n: f"{prefix}{n}"), SCORES)
    return st.lists(items, max_size=9)


CONSTRAINTS = st.builds(
    BlendConstraints,
    allowed_positions=st.lists(st.integers(0, 9), min_size=1, unique=True).map(tuple),
    max_generated=st.integers(0, 3),
    min_score=SCORES,
)
ANY = {
    "catalog": scored("c"),
    "generated": scored("g"),
    "size": st.integers(1, 9),
    "constraints": CONSTRAINTS,
}
any_request = given(**ANY)  # type: ignore[arg-type]
many = settings(deadline=None, max_examples=300)


@many
@any_request
def test_no_constraint_is_ever_broken(
    catalog: list[ScoredItem],
    generated: list[ScoredItem],
    size: int,
    constraints: BlendConstraints,
) -> None:
    slate = blend(catalog, generated, size=size, constraints=constraints)
    placed = [placement for placement in slate.placements if placement.is_generated]
    assert len(placed) <= constraints.max_generated
    assert all(p.position in constraints.allowed_positions for p in placed)
    assert all(p.score >= constraints.min_score for p in placed)


@many
@any_request
def test_positions_run_without_gaps_up_to_the_size_and_no_item_comes_twice(
    catalog: list[ScoredItem],
    generated: list[ScoredItem],
    size: int,
    constraints: BlendConstraints,
) -> None:
    placements = blend(catalog, generated, size=size, constraints=constraints).placements
    num_catalog = len({item.item_id for item in catalog})
    assert [p.position for p in placements] == list(range(len(placements)))
    assert min(size, num_catalog) <= len(placements) <= size
    assert len({p.item_id for p in placements}) == len(placements)


@many
@any_request
def test_catalog_items_keep_the_order_they_have_without_generated_ones(
    catalog: list[ScoredItem],
    generated: list[ScoredItem],
    size: int,
    constraints: BlendConstraints,
) -> None:
    mixed = blend(catalog, generated, size=size, constraints=constraints).placements
    alone = blend(catalog, [], size=size, constraints=constraints).placements
    of_catalog = [p.item_id for p in mixed if not p.is_generated]
    assert of_catalog == [p.item_id for p in alone][: len(of_catalog)]
    assert not any(p.is_generated for p in alone)


@many
@any_request
def test_no_generated_item_stands_above_a_catalog_item_that_scores_as_much(
    catalog: list[ScoredItem],
    generated: list[ScoredItem],
    size: int,
    constraints: BlendConstraints,
) -> None:
    placements = blend(catalog, generated, size=size, constraints=constraints).placements
    shown_ids = {p.item_id for p in placements}
    for placed in (p for p in placements if p.is_generated):
        below = [p.score for p in placements[placed.position :] if not p.is_generated]
        left_out = [item.score for item in catalog if item.item_id not in shown_ids]
        assert all(score < placed.score for score in below + left_out)


@many
@any_request
def test_blending_the_result_again_changes_nothing(
    catalog: list[ScoredItem],
    generated: list[ScoredItem],
    size: int,
    constraints: BlendConstraints,
) -> None:
    once = blend(catalog, generated, size=size, constraints=constraints)
    of_catalog = [ScoredItem(p.item_id, p.score) for p in once.placements if not p.is_generated]
    of_generated = [ScoredItem(p.item_id, p.score) for p in once.placements if p.is_generated]
    again = blend(of_catalog, of_generated, size=size, constraints=constraints)
    assert again.placements == once.placements


@many
@any_request
def test_every_generated_item_has_a_reason(
    catalog: list[ScoredItem],
    generated: list[ScoredItem],
    size: int,
    constraints: BlendConstraints,
) -> None:
    slate = blend(catalog, generated, size=size, constraints=constraints)
    placed = {p.item_id for p in slate.placements if p.is_generated}
    assert slate.reasons.keys() == {item.item_id for item in generated}
    for item_id, reason in slate.reasons.items():
        assert (" in place " in reason) == (item_id in placed)
