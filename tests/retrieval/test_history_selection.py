"""All vectors lie in a plane, so that a similarity is the cosine of a difference of angles."""

import numpy as np
import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import Vectors
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.retrieval.history_selection import (
    SelectionSettings,
    select_history,
    typicality,
)
from pigeon_recsys.testing.fakes import FakeIndex
from pigeon_recsys.testing.index_contract import unit_vectors

ONLY_REFERENCE = SelectionSettings(reference=1, typicality=0, recency=0, redundancy=0)


def index_of(angles: dict[str, float]) -> ItemIndex:
    return FakeIndex(list(angles), unit_vectors(list(angles.values())))


def pointing(degrees: float) -> Vectors:
    direction: Vectors = unit_vectors([degrees])[0]
    return direction


def test_the_likes_nearest_to_the_reference_come_back_oldest_first() -> None:
    """Seen from 0 degrees, c (10) is nearest, then a (20); a is the older one."""
    index = index_of({"a": 20, "b": 90, "c": 10, "d": 120})
    chosen = select_history(index, ["a", "b", "c", "d"], pointing(0), 2, ONLY_REFERENCE)
    assert chosen == ("a", "c")


def test_only_the_users_own_items_are_chosen() -> None:
    """Item `other` is nearest to the reference and belongs to somebody else."""
    index = index_of({"other": 0, "a": 50, "b": 60, "c": 70})
    chosen = select_history(index, ["a", "b", "c"], pointing(0), 2, ONLY_REFERENCE)
    assert chosen == ("a", "b")


def test_redundancy_prefers_another_picture_to_a_near_copy() -> None:
    """After a (0 degrees), its near copy b (2) is worth cos 2 − cos 2 = 0 and c (40)
    cos 40 − cos 40 = 0 with weight 1; with weight 2 they are worth −cos 2 = −1.00 and
    −cos 40 = −0.77."""
    index = index_of({"a": 0, "b": 2, "c": 40, "d": 180})
    liked = ["a", "b", "c", "d"]
    assert select_history(index, liked, pointing(0), 2, ONLY_REFERENCE) == ("a", "b")
    varied = SelectionSettings(reference=1, typicality=0, recency=0, redundancy=2)
    assert select_history(index, liked[:3], pointing(0), 2, varied) == ("a", "c")


def test_typicality_is_the_mean_similarity_to_the_other_likes() -> None:
    """Angles 0, 60 and 120: the middle one has (½ + ½)/2, the outer ones (½ − ½)/2."""
    found = typicality(unit_vectors([0, 60, 120]))
    assert found == pytest.approx([0, 0.5, 0], abs=1e-6)


def test_a_lone_like_has_no_typicality() -> None:
    assert typicality(unit_vectors([30])) == pytest.approx([0], abs=1e-6)


def test_typicality_leaves_out_a_stray_like() -> None:
    """`stray` (190) is nearest to the reference (150) by cos 40 = 0.77 against cos 60 = 0.50,
    but its mean similarity to the others is below −0.9."""
    index = index_of({"a": 88, "stray": 190, "b": 90, "c": 92})
    liked = ["a", "stray", "b", "c"]
    assert "stray" in select_history(index, liked, pointing(150), 3, ONLY_REFERENCE)
    careful = SelectionSettings(reference=1, typicality=1, recency=0, redundancy=0)
    assert select_history(index, liked, pointing(150), 3, careful) == ("a", "b", "c")


def test_recency_decides_between_equal_likes() -> None:
    index = index_of({"a": 30, "b": 30, "c": 30, "d": 30})
    settings = SelectionSettings(reference=1, typicality=0, recency=0.1, redundancy=0)
    assert select_history(index, ["d", "c", "b", "a"], pointing(0), 2, settings) == ("b", "a")


def test_equal_likes_go_to_the_newer_one_even_without_recency() -> None:
    index = index_of({"a": 30, "b": 30, "c": 30})
    assert select_history(index, ["c", "b", "a"], pointing(0), 1, ONLY_REFERENCE) == ("a",)


def test_without_a_reference_the_typical_and_recent_likes_are_chosen() -> None:
    """Typicalities: a, b and c near 0 have one another, d (90) has nobody. With recency at
    0.1, the newest of the three comes before the oldest."""
    index = index_of({"a": 0, "b": 1, "c": 2, "d": 90})
    settings = SelectionSettings(redundancy=0)
    assert select_history(index, ["a", "b", "c", "d"], None, 2, settings) == ("b", "c")


def test_fewer_likes_than_images_are_all_returned() -> None:
    index = index_of({"a": 0, "b": 180})
    assert select_history(index, ["b", "a"], pointing(0)) == ("b", "a")
    assert select_history(index, [], pointing(0)) == ()


def test_a_like_that_is_no_longer_indexed_is_passed_over() -> None:
    index = index_of({"a": 0, "b": 10, "c": 20})
    liked = ["a", "withdrawn", "b", "c"]
    assert select_history(index, liked, pointing(0), 2, ONLY_REFERENCE) == ("a", "b")


def test_an_item_liked_twice_counts_once_at_its_newest_like() -> None:
    index = index_of({"a": 0, "b": 10, "c": 20})
    assert select_history(index, ["a", "b", "a", "c"], None) == ("b", "a", "c")


def test_the_pool_limits_what_is_considered() -> None:
    """Without a reference the pool holds the newest likes, with one the nearest."""
    index = index_of({"a": 0, "b": 0, "c": 90, "d": 80})
    settings = SelectionSettings(reference=0, typicality=1, recency=0, redundancy=0, pool=2)
    assert select_history(index, ["a", "b", "c", "d"], None, 2, settings) == ("c", "d")
    assert select_history(index, ["c", "d", "a", "b"], pointing(90), 2, settings) == ("c", "d")


def test_the_choice_is_the_same_over_faiss_and_over_the_fake() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((60, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    item_ids = [f"item-{number}" for number in range(60)]
    fake, real = FakeIndex(item_ids, vectors), FaissIndex.build(item_ids, vectors)
    for seed in range(10):
        liked = np.random.default_rng(seed).permutation(item_ids)[:20].tolist()
        assert select_history(fake, liked, vectors[seed]) == select_history(
            real, liked, vectors[seed]
        )


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"reference": -1}, "reference must be 0 or more, got -1"),
        ({"typicality": float("nan")}, "typicality must be 0 or more, got nan"),
        ({"recency": float("inf")}, "recency must be 0 or more, got inf"),
        ({"redundancy": -0.1}, "redundancy must be 0 or more, got -0.1"),
        ({"pool": 0}, "pool must be at least 1, got 0"),
    ],
)
def test_impossible_weights_are_refused(fields: dict[str, float], fault: str) -> None:
    with pytest.raises(SettingsError, match=f"history selection: {fault}"):
        SelectionSettings(**fields)  # type: ignore[arg-type]


def test_asking_for_no_images_is_refused() -> None:
    with pytest.raises(SettingsError, match="num_images must be at least 1, got 0"):
        select_history(index_of({"a": 0}), ["a"], None, 0)
