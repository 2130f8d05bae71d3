from pathlib import Path

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens
from pigeon_recsys.alignment.predicted_likes import (
    WINDOWS_PER_USER,
    predicted_rows,
    predicted_windows,
)
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.alignment.stages import with_predictions
from pigeon_recsys.datasets.folder import DatasetFolder
from tests.alignment.embedder_dataset import likes_of_colour, some_users, write_dataset
from tests.alignment.record_curves import RECIPE

NUM_THINGS = 6
LINE, FILLED, SOFT = range(3)  # ways of drawing; thing t in way w is row 3 t + w
TASTES = np.eye(3, dtype=np.float32)


@pytest.fixture
def taste_ND() -> np.ndarray:
    return np.tile(TASTES, (NUM_THINGS, 1))


@pytest.fixture
def same() -> SameContent:
    rows = np.arange(3 * NUM_THINGS).reshape(NUM_THINGS, 3)
    others = [np.delete(rows[row // 3], row % 3) for row in rows.ravel()]
    return SameContent(np.array(others), np.full(3 * NUM_THINGS, 2))


def drawn(thing: int, way: int) -> int:
    return 3 * thing + way


def test_of_each_other_content_the_picture_in_the_users_way_is_predicted(taste_ND, same) -> None:
    likes = [drawn(0, LINE), drawn(1, LINE)]
    expected = [drawn(thing, LINE) for thing in range(2, NUM_THINGS)]
    assert predicted_rows(likes, taste_ND, same).tolist() == expected


def test_where_the_catalog_lacks_the_users_way_nothing_is_predicted(taste_ND, same) -> None:
    """Of thing 5 the filled picture comes nearest, and yet not as near as any like does."""
    taste_ND[drawn(5, LINE)] = [-1, 0, 0]
    taste_ND[drawn(5, FILLED)] = [0.6, 0.8, 0]
    found = predicted_rows([drawn(0, LINE), drawn(1, LINE)], taste_ND, same)
    assert found.tolist() == [drawn(thing, LINE) for thing in range(2, 5)]


def test_a_stray_like_loosens_what_counts_as_near(taste_ND, same) -> None:
    """The mean of two line likes and a filled one: each filled picture is as near as that like,
    but of every content the line picture is nearer."""
    likes = [drawn(0, LINE), drawn(1, LINE), drawn(2, FILLED)]
    found = predicted_rows(likes, taste_ND, same)
    assert found.tolist() == [drawn(2, LINE), *(drawn(t, LINE) for t in range(3, NUM_THINGS))]


def test_windows_are_half_likes_in_order_and_half_predictions(taste_ND, same) -> None:
    likes = [drawn(1, LINE), drawn(0, LINE), drawn(2, LINE)]
    windows_NW = predicted_windows([likes], taste_ND, same, length=4, seed=0)
    assert windows_NW.shape == (WINDOWS_PER_USER, 4)
    predicted = set(predicted_rows(likes, taste_ND, same).tolist())
    for window in windows_NW.tolist():
        assert sorted(window[:2], key=likes.index) == window[:2]
        assert len(set(window)) == 4
        assert set(window[2:]) <= predicted
    assert {row for window in windows_NW.tolist() for row in window[2:]} == predicted


def test_few_likes_leave_places_empty(taste_ND, same) -> None:
    windows_NW = predicted_windows([[drawn(0, SOFT)]], taste_ND, same, length=5, seed=0)
    assert (windows_NW[:, :2] == EMPTY).all()
    assert (windows_NW[:, 2] == drawn(0, SOFT)).all()
    assert (windows_NW[:, 3:] != EMPTY).all()


def test_a_user_of_whose_taste_there_is_nothing_more_is_left_out(taste_ND, same) -> None:
    all_line = [drawn(thing, LINE) for thing in range(NUM_THINGS)]
    assert predicted_windows([all_line], taste_ND, same, length=4, seed=0).shape == (0, 4)


def test_the_same_seed_gives_the_same_windows(taste_ND, same) -> None:
    likes = [[drawn(0, LINE), drawn(1, LINE)], [drawn(3, SOFT), drawn(4, SOFT)]]
    one, again, other = (
        predicted_windows(likes, taste_ND, same, length=4, seed=seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("content", "num_more"), [(None, 0), ("thing", 2 * WINDOWS_PER_USER)])
def test_a_recipe_with_a_content_trains_on_predictions_too(
    tmp_path: Path, content: str | None, num_more: int
) -> None:
    """Two train users like two things in red; the taste half tells colours, and nothing else."""
    users = [*some_users("train", 2), *some_users("validation", 1)]
    likes = {user_id: likes_of_colour("red")[:2] for user_id in users}
    dataset = write_dataset(tmp_path / "data", likes)
    rows = {item_id: row for row, item_id in enumerate(dataset.item_ids)}
    items = ItemTokens(rows, torch.zeros(len(rows), 1, dtype=torch.long), ((),) * len(rows))
    taste_ND = np.array([colour_of(dataset, item_id) for item_id in rows], np.float32)
    given_NW = np.array([[rows[item_id] for item_id in likes[users[0]]] * 3])
    examples = Examples(items, given_NW, given_NW)
    recipe = RECIPE.model_copy(update={"content": content, "reference": "tokens"})
    found = with_predictions(examples, recipe, dataset, taste_ND)
    assert found.same is not None
    assert len(found.train) == 1 + num_more
    assert np.array_equal(found.train[:1], given_NW)
    assert np.array_equal(found.validation, given_NW)
    shown = {dataset.item_ids[row].split("-")[0] for row in np.unique(found.train) if row != EMPTY}
    assert shown == {"red"}


def colour_of(dataset: DatasetFolder, item_id: str) -> list[float]:
    colour = dataset.item(item_id).attributes["colour"]
    return [float(colour == name) for name in ("red", "green", "blue")]
