from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.context import CONTEXT_NAMES, NEVER
from pigeon_recsys.ranking.features import Batch, RankFeatures
from pigeon_recsys.ranking.request_encoder import RequestEncoder
from pigeon_recsys.ranking.samples import (
    Dropout,
    ItemTable,
    collect_moments,
    items_met,
    label_rows,
)
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.ranking.text import HashedText
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import (
    EVENTS,
    LIKE,
    NEUTRAL,
    SKIP,
    History,
    Interaction,
    RankContext,
    RankItem,
)
from pigeon_recsys.testing.fakes import FakeIndex

TEXT = HashedText(16)
IDS = ["a", "b", "c", "d"]
EVENT_LISTS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(IDS), st.sampled_from(EVENTS)), max_size=20
)


def rows_of(user_id: str, *events: tuple[int, str, str]) -> list[Interaction]:
    return [Interaction(user_id, item_id, event, at_ms) for at_ms, item_id, event in events]


def before(lists: Bags) -> list[list[str]]:
    ends = lists.offsets[1:]
    return [
        [IDS[n] for n in lists.values[end - length : end]]
        for end, length in zip(ends, lists.lengths, strict=True)
    ]


def test_a_moment_sees_only_what_the_user_liked_before_it() -> None:
    rows = rows_of("u", (1, "a", LIKE), (2, "b", SKIP), (3, "c", LIKE), (4, "d", LIKE))
    moments = collect_moments(rows, IDS, history_len=2)
    assert before(moments.liked_before) == [[], ["a"], ["a"], ["a", "c"]]
    assert moments.is_like.tolist() == [True, False, True, True]


def test_a_moment_sees_nothing_of_other_users() -> None:
    moments = collect_moments(rows_of("u", (1, "a", LIKE)) + rows_of("v", (2, "b", LIKE)), IDS, 2)
    assert before(moments.liked_before) == [[], []]


def test_interactions_at_one_time_do_not_see_each_other() -> None:
    rows = rows_of("u", (1, "a", LIKE), (1, "b", LIKE), (2, "c", LIKE))
    assert before(collect_moments(rows, IDS, 5).liked_before) == [[], [], ["a", "b"]]


def test_neutral_events_make_no_rows() -> None:
    moments = collect_moments(rows_of("u", (1, "a", NEUTRAL), (2, "b", LIKE)), IDS, 5)
    assert moments.items.tolist() == [1]


@settings(deadline=None, max_examples=60)
@given(events=EVENT_LISTS, history_len=st.integers(1, 4))
def test_liked_before_is_the_liked_of_the_history_cut_at_that_time(
    events: list[tuple[int, str, str]], history_len: int
) -> None:
    rows = rows_of("u", *sorted(events))
    expected = []
    for at_ms, at_once in groupby(rows, key=lambda row: row.at_ms):
        past = [row for row in rows if row.at_ms < at_ms]
        liked = history(past).liked[-history_len:]
        expected += [list(liked) for row in at_once if row.event != NEUTRAL]
    assert before(collect_moments(rows, IDS, history_len).liked_before) == expected


def history(rows: list[Interaction]) -> History:
    return History(
        user_id="u",
        item_ids=tuple(row.item_id for row in rows),
        times_ms=tuple(row.at_ms for row in rows),
        events=tuple(row.event for row in rows),
    )


def features_of(dataset: DatasetFolder) -> RankFeatures:
    return RankFeatures(
        image_dim=8,
        text_dim=16,
        text_version=TEXT.version,
        history_len=6,
        user=Vocabulary.of(dataset.user_ids, 2),
        item=Vocabulary.of(dataset.item_ids, 2),
        attributes={"shape": Vocabulary.of(["round"], 2), "tags": Vocabulary.of(["all"], 2)},
    )


def test_drawn_negatives_are_items_the_user_never_met(dataset: DatasetFolder) -> None:
    moments = collect_moments(dataset.interactions, dataset.item_ids, 6)
    met = items_met(dataset.interactions, dataset.item_ids)
    generator = np.random.default_rng(0)
    samples = label_rows(
        moments, met, np.arange(len(dataset.item_ids)), features_of(dataset), 4, generator
    )
    num_moments = len(moments.items)
    drawn_for, drawn = samples.row_moments[num_moments:], samples.row_items[num_moments:]
    assert len(drawn) == 4 * moments.is_like.sum()
    assert not any(
        item in met[moments.users[moment]] for moment, item in zip(drawn_for, drawn, strict=True)
    )
    assert samples.labels[num_moments:].tolist() == [0] * len(drawn)
    assert samples.labels.sum() == moments.is_like.sum()


def test_who_met_every_item_brings_no_negatives(dataset: DatasetFolder) -> None:
    rows = rows_of("u", *((n, item_id, LIKE) for n, item_id in enumerate(IDS)))
    moments = collect_moments(rows, IDS, 6)
    generator = np.random.default_rng(0)
    met = items_met(rows, IDS)
    samples = label_rows(moments, met, np.arange(len(IDS)), features_of(dataset), 4, generator)
    assert samples.labels.tolist() == [1, 1, 1, 1]


def test_training_rows_equal_what_serving_builds_at_that_time(
    dataset: DatasetFolder, index: FakeIndex
) -> None:
    features = features_of(dataset)
    items = [dataset.item(item_id) for item_id in dataset.item_ids]
    texts = TEXT.embed([item.title for item in items])
    table = ItemTable.of(items, index.vectors(dataset.item_ids), texts, features)
    encoder = RequestEncoder(features, index)
    moments = collect_moments(dataset.interactions, dataset.item_ids, features.history_len)
    generator = np.random.default_rng(0)
    met = items_met(dataset.interactions, dataset.item_ids)
    samples = label_rows(moments, met, np.arange(len(items)), features, 0, generator)
    for row in (0, 5, 14, 40, 200):
        in_training = samples.batch(np.array([row]), table)
        past = cut(dataset.history(moments.users[row]), int(moments.at_ms[row]))
        item_id = dataset.item_ids[moments.items[row]]
        item = dataset.item(item_id)
        shown = RankItem(item_id, index.vectors([item_id])[0], item.attributes, text=item.title)
        context = RankContext(int(moments.at_ms[row]))
        assert_same(in_training, encoder.encode(past, [shown], context))


def cut(history: History, at_ms: int) -> History:
    """Return what lies before a time."""
    keep = [n for n, time_ms in enumerate(history.times_ms) if time_ms < at_ms]
    return History(
        user_id=history.user_id,
        item_ids=tuple(history.item_ids[n] for n in keep),
        times_ms=tuple(history.times_ms[n] for n in keep),
        events=tuple(history.events[n] for n in keep),
    )


def assert_same(left: Batch, right: Batch) -> None:
    np.testing.assert_allclose(left.image, right.image)
    np.testing.assert_array_equal(left.text, right.text)
    np.testing.assert_array_equal(left.context, right.context)
    np.testing.assert_allclose(left.taste, right.taste, atol=1e-6)
    assert list(left.bags) == list(right.bags)
    for name, bags in left.bags.items():
        assert bags.values.tolist() == right.bags[name].values.tolist()
        assert bags.lengths.tolist() == right.bags[name].lengths.tolist()


NUM_ROWS = 20_000


@pytest.fixture(scope="module")
def dropped(dataset: DatasetFolder) -> tuple[RankFeatures, Batch]:
    features = features_of(dataset)
    zeros = Bags.singles(np.zeros(NUM_ROWS, np.int64))
    nothing = np.zeros((NUM_ROWS, 1), np.float32)
    batch = Batch(
        image=nothing,
        text=nothing,
        taste=nothing,
        context=np.ones((NUM_ROWS, len(CONTEXT_NAMES)), np.float32),
        bags={"user": zeros, "item": zeros, "history": zeros},
        request_of_row=np.arange(NUM_ROWS),
    )
    drawn = Dropout.draw(NUM_ROWS, features, RankerSettings(), np.random.default_rng(0))
    return features, drawn.apply(batch)


def test_dropped_items_are_half_generated_and_half_never_seen(
    dropped: tuple[RankFeatures, Batch],
) -> None:
    """Of all rows 15 % each; three standard deviations are below 0.01."""
    features, batch = dropped
    items = batch.bags["item"]
    assert (items.lengths == 0).mean() == pytest.approx(0.15, abs=0.01)
    assert (items.values >= features.item.num_known).sum() / NUM_ROWS == pytest.approx(
        0.15, abs=0.01
    )
    assert set(items.values.tolist()) == {0, features.item.num_known, features.item.num_known + 1}


def test_dropped_users_are_ones_never_seen(dropped: tuple[RankFeatures, Batch]) -> None:
    features, batch = dropped
    users = batch.bags["user"]
    assert (users.lengths == 1).all()
    assert (users.values >= features.user.num_known).mean() == pytest.approx(0.2, abs=0.01)


def test_the_history_keeps_its_ids(dropped: tuple[RankFeatures, Batch]) -> None:
    assert not dropped[1].bags["history"].values.any()


def test_a_hidden_time_leaves_what_is_known_of_the_history(
    dropped: tuple[RankFeatures, Batch],
) -> None:
    timed, liked = dropped[1].context[:, :-1], dropped[1].context[:, -1]
    assert (timed == 0).all(axis=1).mean() == pytest.approx(0.2, abs=0.01)
    assert ((timed == 0).all(axis=1) | (timed == 1).all(axis=1)).all()
    assert liked.all()


def test_a_share_of_the_draws_hides_the_same_as_in_the_whole(
    dropped: tuple[RankFeatures, Batch],
) -> None:
    """Two processes that share out a batch hide from their rows what one would."""
    features = dropped[0]
    drawn = Dropout.draw(9, features, RankerSettings(), np.random.default_rng(0))
    share = drawn.take(np.array([1, 3]))
    assert share.is_new_user.tolist() == drawn.is_new_user[[1, 3]].tolist()
    assert share.new_items.tolist() == drawn.new_items[[1, 3]].tolist()


def test_the_last_event_of_any_kind_is_known_and_none_at_the_same_time() -> None:
    rows = rows_of("u", (1, "a", NEUTRAL), (5, "b", LIKE), (5, "c", LIKE), (7, "d", SKIP))
    assert collect_moments(rows, IDS, 5).last_ms.tolist() == [1, 1, 5]
    assert collect_moments(rows_of("u", (3, "a", LIKE)), IDS, 5).last_ms.tolist() == [NEVER]
