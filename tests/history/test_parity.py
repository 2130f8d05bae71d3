"""Parity: the stream and the table agree on any log, and each planted fault is found."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.parity import (
    Difference,
    Moment,
    differences,
    is_sampled,
    moments,
    streamed,
    table,
)
from pigeon_recsys.history.state import HistoryState
from pigeon_recsys.records import LIKE, History
from tests.history.test_state import CAPACITY, USER, logs

LATE_LOG: list[HistoryEvent] = [
    Interacted(USER, "e3", 30, "c", LIKE),
    Interacted(USER, "e1", 10, "a", LIKE),  # late
    Interacted(USER, "e1", 10, "a", LIKE),  # twice
    TakenBack(USER, "e3", 30),
    Interacted(USER, "e4", 40, "wrong", LIKE),
    Interacted(USER, "e4", 40, "d", LIKE, revision=1),  # corrected
    Erased(USER, 20),  # late
    Interacted(USER, "e0", 15, "b", LIKE),  # erased before it came
]


def as_of(rows: list[History], asked: list[Moment]) -> list[History | None]:
    """Answer as a point-in-time join does: by the newest row at or before each moment."""
    return [
        max(
            (row for row in rows if row.user_id == user_id and row.version <= at_ms),
            key=lambda row: row.version,
            default=None,
        )
        for user_id, at_ms in asked
    ]


def compared(log: list[HistoryEvent], rows: list[History], capacity: int) -> list[Difference]:
    asked = [(USER, at_ms) for at_ms in range(-1, 60)]
    ours = [streamed({USER: log}, moment, capacity) for moment in asked]
    return differences(asked, "table", ours, as_of(rows, asked))


@given(logs, st.integers(1, 8))
def test_stream_and_table_agree_at_every_moment_of_any_log(
    log: list[HistoryEvent], capacity: int
) -> None:
    """Duplicates, late events, corrections, take-backs and erasures are among them."""
    assert compared(log, list(table({USER: log}, capacity)), capacity) == []


@given(logs)
def test_the_end_of_the_stream_is_the_state_of_the_whole_log(log: list[HistoryEvent]) -> None:
    expected = HistoryState.empty(USER, CAPACITY).merged(log).history() if log else None
    assert streamed({USER: log}, (USER, 99), CAPACITY) == expected


def test_a_late_event_counts_from_its_own_time_on() -> None:
    assert [row.item_ids for row in table({USER: LATE_LOG}, CAPACITY)] == [
        ("a",),  # 10
        ("a", "b"),  # 15
        (),  # 20, erased
        (),  # 30, taken back
        ("d",),  # 40, corrected
    ]


def test_an_event_that_the_stream_dropped_is_found_from_its_time_on() -> None:
    rows = list(table({USER: LATE_LOG}, CAPACITY))
    dropped = [event for event in LATE_LOG if event.at_ms != 15]
    found = compared(dropped, rows, CAPACITY)
    assert [each.at_ms for each in found] == [15, 16, 17, 18, 19]
    assert all(each.streamed is not None and each.found is not None for each in found)


def test_a_take_back_that_lost_against_a_later_revision_is_found() -> None:
    """As of a path that lets the last to come win instead of the take-back."""
    log: list[HistoryEvent] = [
        Interacted(USER, "e1", 10, "a", LIKE),
        TakenBack(USER, "e1", 10),
        Interacted(USER, "e1", 10, "a", LIKE, revision=1),
    ]
    rows = list(table({USER: [log[0], log[2]]}, CAPACITY))
    found = compared(log, rows, CAPACITY)
    assert [each.at_ms for each in found] == list(range(10, 60))
    assert found[0].streamed == History(USER, (), (), (), version=10)
    assert found[0].found is not None
    assert found[0].found.item_ids == ("a",)


def test_a_stale_row_is_found_until_the_next_one() -> None:
    rows = list(table({USER: LATE_LOG}, CAPACITY))
    rows[1] = replace(rows[0], version=15)
    found = compared(LATE_LOG, rows, CAPACITY)
    assert [each.at_ms for each in found] == [15, 16, 17, 18, 19]


def test_moments_are_changes_the_time_right_before_and_the_end() -> None:
    log = {USER: LATE_LOG, "bob": [Interacted("bob", "e1", 70, "a", LIKE)]}
    asked = moments(log, 3, seed=0)
    assert asked == moments(log, 3, seed=0)
    assert asked.count((USER, 70)) == 1
    assert all(at_ms in {e.at_ms - before for e in LATE_LOG for before in (0, 1)} | {70}
               for user_id, at_ms in asked if user_id == USER)  # fmt: skip
    assert [at_ms for user_id, at_ms in asked if user_id == "bob"] == [70]
    assert 3 <= len(asked) <= 3 + 1 + 1
    assert moments({}, 3, seed=0) == []


def test_a_share_of_the_users_is_always_the_same() -> None:
    users = [f"user {number}" for number in range(1000)]
    half = [user for user in users if is_sampled(user, 0.5)]
    assert 400 < len(half) < 600
    assert {user for user in users if is_sampled(user, 0.1)} < set(half)
    assert all(is_sampled(user, 1) for user in users)
    assert not any(is_sampled(user, 0) for user in users)
