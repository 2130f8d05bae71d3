import numpy as np

from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.features import Batch, RankFeatures
from pigeon_recsys.ranking.vocabulary import Vocabulary

FEATURES = RankFeatures(
    image_dim=2,
    text_dim=8,
    text_version="any",
    history_len=2,
    user=Vocabulary.of(["ada"], 1),
    item=Vocabulary.of(["a", "b", "c"], 1),
    attributes={"style": Vocabulary.of(["flat"], 1), "tags": Vocabulary.of(["red", "round"], 1)},
)


def test_the_json_form_keeps_everything() -> None:
    assert RankFeatures.from_json(FEATURES.to_json()) == FEATURES


def test_an_expanded_batch_repeats_what_belongs_to_a_request() -> None:
    """Rows 0 and 2 are of request 1, row 1 of request 0."""
    row_B1, request_U1 = np.zeros((3, 1), np.float32), np.array([[5], [6]], np.float32)
    bags = {
        "user": Bags.from_lists([[1], [2]]),
        "history": Bags.from_lists([[], [3, 4]]),
        "item": Bags.from_lists([[7], [8], [9]]),
    }
    batch = Batch(row_B1, row_B1, request_U1, request_U1, bags, np.array([1, 0, 1]))
    rows = batch.expanded()
    assert rows.taste.tolist() == rows.context.tolist() == [[6], [5], [6]]
    assert rows.bags["user"].values.tolist() == [2, 1, 2]
    assert rows.bags["history"].lengths.tolist() == [2, 0, 2]
    assert rows.bags["item"] is bags["item"]
    assert rows.request_of_row.tolist() == [0, 1, 2]
