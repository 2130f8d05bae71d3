"""Interactions become histories: sorted, apart by user, with a version that never decreases."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.history.from_interactions import event_of, histories_by_user, history_of
from pigeon_recsys.records import EVENTS, LIKE, SKIP, History, Interaction

INTERACTIONS = st.builds(
    Interaction,
    user_id=st.sampled_from(["ada", "bob"]),
    item_id=st.sampled_from(["a", "b", "c"]),
    event=st.sampled_from(EVENTS),
    at_ms=st.integers(0, 5),
)


def test_a_history_is_sorted_by_time_then_item() -> None:
    rows = [
        Interaction("ada", "z", LIKE, 20),
        Interaction("ada", "b", SKIP, 10),
        Interaction("bob", "b", LIKE, 5),
        Interaction("ada", "a", LIKE, 10),
    ]
    assert history_of("ada", rows) == History(
        user_id="ada",
        item_ids=("a", "b", "z"),
        times_ms=(10, 10, 20),
        events=(LIKE, SKIP, LIKE),
        version=20,
    )


def test_without_interactions_a_history_is_empty() -> None:
    assert history_of("ada", []) == History("ada", (), (), (), version=0)


def test_users_come_in_the_order_of_their_ids() -> None:
    rows = [Interaction("bob", "a", LIKE, 1), Interaction("ada", "a", LIKE, 2)]
    assert list(histories_by_user(rows)) == ["ada", "bob"]


@given(st.lists(INTERACTIONS), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(rows: list[Interaction], chance: object) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert histories_by_user(shuffled) == histories_by_user(rows)


@given(st.lists(INTERACTIONS, min_size=1), st.data())
def test_the_version_never_decreases_as_interactions_are_added(
    rows: list[Interaction], data: st.DataObject
) -> None:
    first = rows[: data.draw(st.integers(0, len(rows)))]
    versions = {user_id: history.version for user_id, history in histories_by_user(rows).items()}
    for user_id, history in histories_by_user(first).items():
        assert history.version <= versions[user_id]


@given(st.lists(INTERACTIONS))
def test_no_interaction_is_lost(rows: list[Interaction]) -> None:
    histories = histories_by_user(rows).values()
    assert sum(len(history.item_ids) for history in histories) == len(rows)


def test_a_row_is_the_same_event_every_time_and_no_other_row_s() -> None:
    row = Interaction("ada", "i1", LIKE, 10)
    assert event_of(row) == event_of(replace(row))
    event = event_of(row)
    assert (event.user_id, event.item_id, event.event, event.at_ms) == ("ada", "i1", LIKE, 10)
    others = [replace(row, item_id="i2"), replace(row, event=SKIP), replace(row, at_ms=11)]
    assert len({event.event_id, *(event_of(other).event_id for other in others)}) == 4
