from dataclasses import replace

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.ranking.samples import items_met
from pigeon_recsys.ranking.text import HashedText
from pigeon_recsys.ranking.training_data import prepare
from pigeon_recsys.testing.fakes import FakeIndex
from tests.ranking.planted_world import ITEM_IDS, SETTINGS

WITHHELD = frozenset(ITEM_IDS[::4])


def test_every_training_row_is_older_than_every_heldout_row(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    data = prepare(dataset, index, SETTINGS)
    assert data.train.moments.at_ms.max() < data.heldout.rows.moments.at_ms.min()


def test_training_rows_are_of_training_users_and_none_is_a_test_user(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    data = prepare(dataset, index, SETTINGS)
    assert {user_split(user) for user in data.train.moments.users} == {"train"}
    assert {user_split(user) for user in data.heldout.rows.moments.users} == {"train", "validation"}


def test_training_draws_know_nothing_of_what_is_met_in_the_heldout_period(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    """A user meets 15 of 80 items, one or two of them late: over many draws those come as well."""
    settings = replace(SETTINGS, negatives_per_like=60)
    train = prepare(dataset, index, settings).train
    cut_ms = train.moments.at_ms.max()
    num_late = num_drawn = 0
    for user in set(train.moments.users):
        of_user = [row for row in dataset.interactions if row.user_id == user]
        early = {ITEM_IDS.index(row.item_id) for row in of_user if row.at_ms <= cut_ms}
        late = {ITEM_IDS.index(row.item_id) for row in of_user if row.at_ms > cut_ms} - early
        is_drawn = np.arange(len(train)) >= len(train.moments.users)
        is_users = np.array([train.moments.users[row] == user for row in train.row_moments])
        drawn = set(train.row_items[is_drawn & is_users].tolist())
        assert not drawn & early
        num_late += len(late)
        num_drawn += len(late & drawn)
    assert num_late > 20
    assert num_drawn > 0.9 * num_late


def test_heldout_draws_are_of_items_that_the_user_never_met(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    lists = prepare(dataset, index, SETTINGS).heldout.lists
    met = items_met(dataset.interactions, dataset.item_ids)
    others = np.flatnonzero(lists.labels == 0)
    users = [lists.moments.users[row] for row in lists.row_moments[others]]
    items = lists.row_items[others]
    assert not any(item in met[user] for user, item in zip(users, items, strict=True))


def test_a_withheld_item_is_in_no_training_row_draw_or_history(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    data = prepare(dataset, index, SETTINGS, withheld=WITHHELD)
    train, numbers = data.train, [ITEM_IDS.index(item_id) for item_id in WITHHELD]
    assert not np.isin(train.row_items, numbers).any()
    assert not np.isin(train.moments.liked_before.values, numbers).any()
    assert data.features.item.num_known == len(ITEM_IDS) - len(WITHHELD)


def test_heldout_rows_then_hold_withheld_items_alone(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    heldout = prepare(dataset, index, SETTINGS, withheld=WITHHELD).heldout
    numbers = [ITEM_IDS.index(item_id) for item_id in WITHHELD]
    assert np.isin(heldout.rows.row_items, numbers).all()
    assert np.isin(heldout.lists.row_items, numbers).all()
    assert (heldout.table.item_rows[numbers] >= len(ITEM_IDS) - len(WITHHELD)).all()


def test_lists_are_likes_and_then_as_many_items_each(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    lists = prepare(dataset, index, SETTINGS).heldout.lists
    num_likes = int(lists.labels.sum())
    assert lists.labels[:num_likes].all()
    others = lists.row_moments[num_likes:].reshape(num_likes, SETTINGS.ndcg_negatives)
    assert (others == lists.row_moments[:num_likes, None]).all()


def test_titles_are_embedded_by_the_embedder_that_is_given(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    text = HashedText(5)
    data = prepare(dataset, index, SETTINGS, text)
    assert (data.features.text_dim, data.features.text_version) == (5, text.version)
    assert data.heldout.table.texts.shape == (len(ITEM_IDS), 5)
