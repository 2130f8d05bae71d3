import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.examples import ItemTokens, liked_rows, liked_windows, windows_of
from pigeon_recsys.alignment.typical_likes import typical_examples, typical_rows, typical_targets
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world

CATS, FROGS = [1.0, 0.0], [0.0, 1.0]


def test_the_stray_likes_are_left_out_and_the_order_stays() -> None:
    """Ten likes, six of one taste: 0.6 of ten are kept, and they are those six."""
    taste_ND = np.array(
        [CATS, FROGS, CATS, FROGS, CATS, CATS, FROGS, CATS, FROGS, CATS], np.float32
    )
    assert typical_rows(range(10), taste_ND) == [0, 2, 4, 5, 7, 9]
    assert typical_rows(range(9, -1, -1), taste_ND) == [9, 7, 5, 4, 2, 0]


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_a_user_with_few_likes_keeps_them_all(count: int) -> None:
    taste_ND = np.tile(np.array(CATS, np.float32), (6, 1))
    assert typical_rows(range(count), taste_ND) == list(range(count))


def test_rows_are_those_of_the_items_not_places_in_the_history() -> None:
    """Items 30 to 37 are liked; the last two look like nothing else the user likes."""
    taste_ND = np.tile(np.array(CATS, np.float32), (40, 1))
    taste_ND[36:38] = FROGS
    assert typical_rows(range(30, 38), taste_ND) == [30, 31, 32, 33, 34, 35]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = tmp_path_factory.mktemp("world") / "data"
    generate_world(folder, num_items=60, num_users=10, seed=3, size=64)
    return DatasetFolder.open(folder)


@pytest.fixture(scope="module")
def items(dataset: DatasetFolder) -> ItemTokens:
    rows = {item_id: row for row, item_id in enumerate(dataset.item_ids)}
    return ItemTokens(rows, torch.zeros(len(rows), 1, dtype=torch.long), ((),) * len(rows))


@pytest.fixture(scope="module")
def taste_ND(items: ItemTokens) -> np.ndarray:
    """Every third item looks like no other kind of item."""
    return np.array([FROGS if row % 3 == 0 else CATS for row in items.row.values()], np.float32)


def test_documents_are_windows_over_typical_likes(dataset, items, taste_ND) -> None:
    examples = typical_examples(dataset, items, taste_ND)
    expected = windows_of(
        typical_rows(liked, taste_ND) for liked in liked_rows(dataset, items, "train")
    )
    assert np.array_equal(examples.train, expected)
    assert 0 < len(examples.train) < len(liked_windows(dataset, items, "train"))


def test_a_typical_target_may_follow_any_history(dataset, items, taste_ND) -> None:
    """The windows are those of stage 1 in the paper, without those of a stray sixth image."""
    examples = typical_targets(dataset, items, taste_ND)
    every = {tuple(window) for window in liked_windows(dataset, items, "train")}
    assert {tuple(window) for window in examples.train} < every
    assert (examples.train[:, -1] % 3 != 0).mean() > (examples.train[:, :-1] % 3 != 0).mean()
    assert (examples.train[:, :-1] % 3 == 0).any()


def test_a_split_without_users_gives_no_window(dataset, items, taste_ND, monkeypatch) -> None:
    monkeypatch.setattr("pigeon_recsys.alignment.examples.users_in", lambda users, split: ())
    assert typical_targets(dataset, items, taste_ND).train.shape == (0, 6)
