import numpy as np
import pytest

from pigeon_recsys.errors import RankingError
from pigeon_recsys.ranking.features import RankFeatures, encode_request
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import LIKE, SKIP, History, RankItem, Vectors
from pigeon_recsys.testing.fakes import FakeIndex

FEATURES = RankFeatures(
    image_dim=2,
    history_len=2,
    user=Vocabulary.of(["ada"], 1),
    item=Vocabulary.of(["a", "b", "c"], 1),
    attributes={"style": Vocabulary.of(["flat"], 1), "tags": Vocabulary.of(["red", "round"], 1)},
)
NEW_ITEM_ROW = 3
INDEX = FakeIndex(["a", "b", "c"], np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32))
HISTORY = History("ada", ("a", "b", "c", "b"), (1, 2, 3, 4), (LIKE, SKIP, LIKE, LIKE))


def item(item_id: str = "a", is_generated: bool = False, **attributes: object) -> RankItem:
    embedding = np.array([1, 0], np.float32)
    return RankItem(item_id, embedding, attributes, is_generated)  # type: ignore[arg-type]


def liking(*item_ids: str) -> History:
    return History("ada", item_ids, tuple(range(len(item_ids))), (LIKE,) * len(item_ids))


def test_a_generated_item_has_an_empty_id_bag_and_its_picture() -> None:
    batch = encode_request(FEATURES, HISTORY, [item("b"), item("gen-1", True)], INDEX)
    assert batch.bags["item"].lengths.tolist() == [1, 0]
    assert batch.image.tolist() == [[1, 0], [1, 0]]


def test_a_generated_item_stays_without_id_even_if_its_id_is_known() -> None:
    batch = encode_request(FEATURES, HISTORY, [item("a", is_generated=True)], INDEX)
    assert len(batch.bags["item"].values) == 0


def test_items_and_users_never_seen_get_the_shared_rows() -> None:
    stranger = History("zoe", (), (), ())
    batch = encode_request(FEATURES, stranger, [item("new")], INDEX)
    assert batch.bags["item"].values.tolist() == [NEW_ITEM_ROW]
    assert batch.bags["user"].values.tolist() == [1]


def test_history_holds_the_newest_likes_oldest_first_for_every_row() -> None:
    """Liked are a, c and (after a skip) b; of these the newest two are c and b."""
    batch = encode_request(FEATURES, HISTORY, [item(), item()], INDEX)
    expected = FEATURES.item.rows(["c", "b", "c", "b"]).tolist()
    assert batch.bags["history"].values.tolist() == expected
    assert batch.bags["history"].lengths.tolist() == [2, 2]


def test_taste_is_the_mean_picture_of_the_newest_likes() -> None:
    """The mean of (0.6, 0.8) and (0, 1) is (0.3, 0.9)."""
    batch = encode_request(FEATURES, HISTORY, [item()], INDEX)
    np.testing.assert_allclose(batch.taste, [[0.3, 0.9]], atol=1e-6)


def test_taste_leaves_out_likes_that_the_index_does_not_hold() -> None:
    batch = encode_request(FEATURES, liking("gen-1", "a"), [item()], INDEX)
    assert batch.taste.tolist() == [[1, 0]]


@pytest.mark.parametrize("history", [liking(), liking("gone-1", "gone-2")])
def test_taste_is_zero_where_no_liked_picture_is_known(history: History) -> None:
    assert encode_request(FEATURES, history, [item()], INDEX).taste.tolist() == [[0, 0]]


def test_an_attribute_is_one_value_several_or_none() -> None:
    items = [item(style="flat", tags=("red", "round")), item(style="odd"), item()]
    batch = encode_request(FEATURES, HISTORY, items, INDEX)
    assert batch.bags["attribute.style"].lengths.tolist() == [1, 1, 0]
    assert batch.bags["attribute.style"].values.tolist() == [0, 1]
    assert batch.bags["attribute.tags"].lengths.tolist() == [2, 0, 0]


def test_an_attribute_the_ranker_was_not_trained_on_is_left_out() -> None:
    assert (
        tuple(encode_request(FEATURES, HISTORY, [item(mood="sad")], INDEX).bags)
        == FEATURES.bag_names
        == ("user", "item", "history", "attribute.style", "attribute.tags")
    )


def test_an_embedding_of_another_width_is_refused_with_the_item() -> None:
    wide = RankItem("wide", np.zeros(3, np.float32))
    with pytest.raises(RankingError, match=r"item 'wide' has shape \(3,\).*trained on \(2,\)"):
        encode_request(FEATURES, HISTORY, [item(), wide], INDEX)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_is_refused_with_the_item(value: float) -> None:
    broken = RankItem("broken", np.array([0, value], np.float32))
    with pytest.raises(RankingError, match="item 'broken' holds NaN or infinity"):
        encode_request(FEATURES, HISTORY, [item(), broken], INDEX)


def test_an_index_of_another_width_is_refused() -> None:
    wide: Vectors = np.ones((1, 3), np.float32)
    with pytest.raises(RankingError, match="vectors of width 3, the ranker was trained on 2"):
        encode_request(FEATURES, liking("a"), [item()], FakeIndex(["a"], wide))


def test_the_json_form_keeps_everything() -> None:
    assert RankFeatures.from_json(FEATURES.to_json()) == FEATURES
