from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.errors import RankingError, SettingsError
from pigeon_recsys.ranking.features import Batch, RankFeatures
from pigeon_recsys.ranking.request_encoder import RequestEncoder
from pigeon_recsys.ranking.text import HashedText
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import LIKE, SKIP, History, RankContext, RankItem, Vectors
from pigeon_recsys.testing.fakes import FakeIndex

FEATURES = RankFeatures(
    image_dim=2,
    text_dim=8,
    text_version=HashedText(8).version,
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


def encode(
    history: History,
    *items: RankItem,
    index: FakeIndex = INDEX,
    context: RankContext | None = None,
) -> Batch:
    return RequestEncoder(FEATURES, index).encode(history, items, context)


def test_a_generated_item_has_an_empty_id_bag_and_its_picture() -> None:
    batch = encode(HISTORY, item("b"), item("gen-1", True))
    assert batch.bags["item"].lengths.tolist() == [1, 0]
    assert batch.image.tolist() == [[1, 0], [1, 0]]


def test_a_generated_item_stays_without_id_even_if_its_id_is_known() -> None:
    batch = encode(HISTORY, item("a", is_generated=True))
    assert len(batch.bags["item"].values) == 0


def test_items_and_users_never_seen_get_the_shared_rows() -> None:
    stranger = History("zoe", (), (), ())
    batch = encode(stranger, item("new"))
    assert batch.bags["item"].values.tolist() == [NEW_ITEM_ROW]
    assert batch.bags["user"].values.tolist() == [1]


def test_history_holds_the_newest_likes_oldest_first_once_for_all_rows() -> None:
    """Liked are a, c and (after a skip) b; of these the newest two are c and b."""
    batch = encode(HISTORY, item(), item())
    expected = FEATURES.item.rows(["c", "b"]).tolist()
    assert batch.bags["history"].values.tolist() == expected
    assert batch.bags["history"].lengths.tolist() == [2]
    assert batch.request_of_row.tolist() == [0, 0]


def test_taste_is_the_mean_picture_of_the_newest_likes() -> None:
    """The mean of (0.6, 0.8) and (0, 1) is (0.3, 0.9)."""
    batch = encode(HISTORY, item())
    np.testing.assert_allclose(batch.taste, [[0.3, 0.9]], atol=1e-6)


def test_taste_leaves_out_likes_that_the_index_does_not_hold() -> None:
    batch = encode(liking("gen-1", "a"), item())
    assert batch.taste.tolist() == [[1, 0]]


@pytest.mark.parametrize("history", [liking(), liking("gone-1", "gone-2")])
def test_taste_is_zero_where_no_liked_picture_is_known(history: History) -> None:
    assert encode(history, item()).taste.tolist() == [[0, 0]]


def test_an_attribute_is_one_value_several_or_none() -> None:
    items = [item(style="flat", tags=("red", "round")), item(style="odd"), item()]
    batch = encode(HISTORY, *items)
    assert batch.bags["attribute.style"].lengths.tolist() == [1, 1, 0]
    assert batch.bags["attribute.style"].values.tolist() == [0, 1]
    assert batch.bags["attribute.tags"].lengths.tolist() == [2, 0, 0]


def test_an_attribute_the_ranker_was_not_trained_on_is_left_out() -> None:
    assert (
        tuple(encode(HISTORY, item(mood="sad")).bags)
        == FEATURES.bag_names
        == ("user", "history", "item", "attribute.style", "attribute.tags")
    )


def test_an_embedding_of_another_width_is_refused_with_the_item() -> None:
    wide = RankItem("wide", np.zeros(3, np.float32))
    with pytest.raises(RankingError, match=r"item 'wide' has shape \(3,\).*trained on \(2,\)"):
        encode(HISTORY, item(), wide)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_not_finite_is_refused_with_the_item(value: float) -> None:
    broken = RankItem("broken", np.array([0, value], np.float32))
    with pytest.raises(RankingError, match="item 'broken' holds NaN or infinity"):
        encode(HISTORY, item(), broken)


def test_an_index_of_another_width_is_refused() -> None:
    wide: Vectors = np.ones((1, 3), np.float32)
    with pytest.raises(RankingError, match="vectors of width 3, the ranker was trained on 2"):
        encode(liking("a"), item(), index=FakeIndex(["a"], wide))


def test_a_title_is_embedded_as_in_training() -> None:
    shown = RankItem("a", np.array([1, 0], np.float32), text="A cat")
    np.testing.assert_array_equal(encode(HISTORY, shown).text, HashedText(8).embed(["A cat"]))


def test_a_text_embedding_takes_the_place_of_the_title() -> None:
    own = np.arange(8, dtype=np.float32)
    shown = RankItem("a", np.array([1, 0], np.float32), text="A cat", text_embedding=own)
    assert encode(HISTORY, shown).text.tolist() == [own.tolist()]


@pytest.mark.parametrize("own", [np.zeros(3), np.full(8, np.nan)])
def test_a_text_embedding_that_does_not_fit_is_refused_with_the_item(own: Vectors) -> None:
    shown = RankItem("odd", np.array([1, 0], np.float32), text_embedding=own)
    with pytest.raises(RankingError, match="of item 'odd' must be 8 finite numbers, got shape"):
        encode(HISTORY, shown)


def test_without_the_embedder_of_training_every_item_brings_its_own_text() -> None:
    features = replace(FEATURES, text_version="sentences 3")
    encoder = RequestEncoder(features, INDEX)
    with pytest.raises(RankingError, match="'a' has no text_embedding.*by 'sentences 3'"):
        encoder.encode(HISTORY, [item()])


def test_another_text_embedder_than_that_of_training_is_refused() -> None:
    with pytest.raises(SettingsError, match="width 8', got the embedder 'hashed .* width 4'"):
        RequestEncoder(FEATURES, INDEX, HashedText(4))


def test_the_context_knows_the_likes_and_without_a_time_nothing_else() -> None:
    """Two of at most two likes."""
    assert encode(HISTORY, item()).context.tolist() == [[0, 0, 0, 0, 0, 1]]
    timed = encode(HISTORY, item(), context=RankContext(at_ms=4)).context
    assert timed[0, 4] == 1  # the last event was just now


def test_items_whose_attributes_changed_are_encoded_anew() -> None:
    encoder = RequestEncoder(FEATURES, INDEX)
    first = encoder.encode(HISTORY, [item(style="flat")])
    second = encoder.encode(HISTORY, [item(style="odd")])
    assert first.bags["attribute.style"].values.tolist() == [0]
    assert second.bags["attribute.style"].values.tolist() == [1]


def test_no_items_make_no_rows() -> None:
    batch = encode(HISTORY)
    assert (len(batch), batch.image.shape, batch.text.shape) == (0, (0, 2), (0, 8))
