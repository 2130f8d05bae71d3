import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.retrieval.candidates import RECENT_LIKES, retrieve_candidates, taste_query
from pigeon_recsys.testing.fakes import FakeCatalog, FakeIndex
from pigeon_recsys.testing.index_contract import unit_vectors

CATALOG = FakeCatalog(num_items=6)
INDEX = FakeIndex(CATALOG.item_ids, unit_vectors([0, 20, 40, 60, 80, 100]))


def ids_of(liked: list[str], count: int, exclude: tuple[str, ...] = ()) -> list[str]:
    found = retrieve_candidates(INDEX, CATALOG, liked, count, exclude)
    return [item.item_id for item in found]


def test_candidates_are_nearest_to_the_mean_of_the_likes() -> None:
    """Likes at 40 and 60 degrees point to 50: next are 20 and 80 (30 away), then 0 and 100."""
    found = retrieve_candidates(INDEX, CATALOG, ["item-02", "item-03"], 2)
    assert {item.item_id for item in found} == {"item-01", "item-04"}
    assert [item.score for item in found] == pytest.approx([3**0.5 / 2] * 2, abs=1e-6)


def test_liked_and_excluded_items_are_no_candidates() -> None:
    assert ids_of(["item-00"], 2, exclude=("item-01",)) == ["item-02", "item-03"]


def test_what_was_generated_or_left_the_catalog_is_no_candidate() -> None:
    """Thirty of each lie at the very taste, nearer than any item of the catalog."""
    others = [name for number in range(30) for name in (f"gen-{number:016x}", f"retired-{number}")]
    angles = [0, 20, 40, 60, 80, 100, *[50] * len(others)]
    index = FakeIndex([*CATALOG.item_ids, *others], unit_vectors(angles))
    found = retrieve_candidates(index, CATALOG, ["item-02", "item-03"], 3)
    assert {item.item_id for item in found[:2]} == {"item-01", "item-04"}
    assert found[2].item_id in ("item-00", "item-05")


def test_fewer_come_back_when_the_catalog_has_fewer() -> None:
    assert len(ids_of(["item-00"], 50)) == 5


def test_a_user_without_likes_gets_what_is_popular() -> None:
    assert ids_of([], 2, exclude=("item-00",)) == ["item-01", "item-02"]


def test_a_user_whose_likes_were_all_withdrawn_gets_what_is_popular() -> None:
    assert ids_of(["withdrawn"], 2) == ["item-00", "item-01"]


def test_withdrawn_likes_are_passed_over() -> None:
    assert ids_of(["item-00", "withdrawn"], 1) == ["item-01"]


def test_likes_that_cancel_out_leave_no_query() -> None:
    index = FakeIndex(["east", "west"], unit_vectors([0, 180]))
    query = taste_query(index, ["east", "west"])
    assert query is None or abs(float(query @ query) - 1) < 1e-5


def test_only_the_newest_likes_make_the_query() -> None:
    """Twenty new likes at 90 degrees outvote nothing: the older one at 0 is not looked at."""
    item_ids = ["old", *(f"new-{number}" for number in range(RECENT_LIKES))]
    index = FakeIndex(item_ids, unit_vectors([0] + [90] * RECENT_LIKES))
    assert taste_query(index, item_ids) == pytest.approx([0, 1], abs=1e-6)


def test_asking_for_no_candidates_is_refused() -> None:
    with pytest.raises(SettingsError, match="num_candidates must be at least 1, got 0"):
        retrieve_candidates(INDEX, CATALOG, [], 0)
