"""Numbers that cannot be ranked are refused with the item they belong to."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.errors import RankingError, SettingsError
from pigeon_recsys.ranking.blend import Blend, blend
from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates, Offer
from pigeon_recsys.ranking.constraints import BlendConstraints, Neighbours
from pigeon_recsys.records import ScoredItem, Vectors

ITEMS = [ScoredItem("good", 0.5), ScoredItem("bad", 0.4)]
STRICT = BlendConstraints((0, 1), near_copy_cosine=0.99, neighbours=Neighbours(1, 0.9))
GARBAGE = st.floats().filter(lambda value: not 0 <= value <= 1)


def blended(candidates: Candidates, *offers: Offer, **constraints: Any) -> Blend:
    rules = BlendConstraints((0, 1), **constraints) if constraints else STRICT
    return blend(candidates, offers, BlendRequest("ada", "r1", 3), rules)


def rows(*values: float) -> Vectors:
    return np.array([[1, 0], values], np.float32)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("order", ["by_score", "as_given"])
def test_a_score_that_is_not_finite_is_refused(score: float, order: str) -> None:
    items = [ITEMS[0], ScoredItem("bad", score)]
    with pytest.raises(RankingError, match=f"item 'bad' has the score {score}, which cannot"):
        blended(Candidates(items, [0.5, 0.5]), order=order)


def test_scores_whose_sum_is_beyond_any_float_are_no_fault() -> None:
    items = [ScoredItem(name, 1.7e308) for name in "abc"]
    slate = blended(Candidates(items, [0.1, 0.2, 0.3]), order="as_given").placements
    assert [place.item_id for place in slate] == ["a", "b", "c"]


@given(GARBAGE)
def test_a_probability_outside_zero_to_one_is_refused(value: float) -> None:
    for probabilities in ([0.5, value], np.array([0.5, value])):
        with pytest.raises(RankingError, match="item 'bad' has the probability"):
            blended(Candidates(ITEMS, probabilities))
    with pytest.raises(RankingError, match="item 'gen' has the probability"):
        blended(Candidates(ITEMS, [0.5, 0.4]), Offer("gen", value))


@given(st.lists(st.floats(width=32), min_size=2, max_size=2))
def test_a_vector_is_of_unit_length_or_zero_or_refused(values: list[float]) -> None:
    length = math.hypot(*values)
    offer = Offer("gen", 0.5, vector=np.array([0, 1], np.float32))
    candidates = Candidates(ITEMS, [0.5, 0.4], rows(*values))
    if abs(length - 1) < 1e-3 or values == [0, 0]:
        blended(candidates, offer)
    elif not 0.9 < length < 1.1 and not length < 1e-18:
        with pytest.raises(RankingError, match="item 'bad' has a vector that is not of unit"):
            blended(candidates, offer)
        with pytest.raises(RankingError, match="item 'gen' has a vector that is not of unit"):
            blended(
                Candidates.scored(ITEMS), Offer("gen", 0.5, vector=np.array(values, np.float32))
            )


def test_columns_must_align_and_vectors_be_of_one_width() -> None:
    with pytest.raises(RankingError, match="there are 1 probabilities for 2 candidates"):
        blended(Candidates(ITEMS, [0.5]))
    with pytest.raises(RankingError, match="there are 1 vectors for 2 candidates"):
        blended(Candidates(ITEMS, [0.5, 0.4], rows(0, 1)[:1]))
    with pytest.raises(RankingError, match="there are 1 content hashes for 2 candidates"):
        blended(Candidates(ITEMS, [0.5, 0.4], None, ["h"]))
    with pytest.raises(RankingError, match="there are 1 ids for 2 candidates"):
        blended(Candidates(ITEMS, [0.5, 0.4], known_ids=("good",)))
    wide = Offer("gen", 0.5, vector=np.array([1, 0, 0], np.float32))
    with pytest.raises(RankingError, match=r"item 'gen' has a vector of shape \(3,\), where"):
        blended(Candidates(ITEMS, [0.5, 0.4], rows(0, 1)), wide)


def test_an_order_by_probability_needs_every_probability() -> None:
    with pytest.raises(RankingError, match="item 'bad' has no probability to be ordered by"):
        blended(Candidates(ITEMS, [0.5, None]))


def test_a_creative_names_its_item_and_an_item_none() -> None:
    for offer in (Offer("gen", 0.5, "creative"), Offer("gen", 0.5, for_item="good")):
        with pytest.raises(RankingError, match="A creative names the candidate it is for"):
            blended(Candidates.scored(ITEMS), offer)


def test_a_slate_of_no_items_is_refused() -> None:
    with pytest.raises(SettingsError, match="slate size must be at least 1, got 0"):
        BlendRequest("ada", "r1", 0)
