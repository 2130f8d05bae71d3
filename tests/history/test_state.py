"""A history's state: the same bytes whatever the order, the repetitions and the batches."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.errors import HistoryStoreError, SettingsError
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import NEVER_ERASED, HistoryState
from pigeon_recsys.records import EVENTS, LIKE, SKIP, History

USER = "ada"
CAPACITY = 3

times = st.integers(0, 9)
event_ids = st.sampled_from(["e1", "e2", "e3", "e4"])
interacted = st.builds(
    Interacted,
    user_id=st.just(USER),
    event_id=event_ids,
    at_ms=times,
    item_id=st.sampled_from(["a", "b", "c"]),
    event=st.sampled_from(EVENTS),
    revision=st.integers(0, 2),
)
taken_back = st.builds(TakenBack, user_id=st.just(USER), event_id=event_ids, at_ms=times)
erased = st.builds(Erased, user_id=st.just(USER), at_ms=times)
logs = st.lists(st.one_of(interacted, interacted, taken_back, erased), max_size=12)


def empty(capacity: int = CAPACITY) -> HistoryState:
    """Return the state of a user of whom nothing is known."""
    return HistoryState.empty(USER, capacity)


def like(event_id: str, at_ms: int, item_id: str = "a", revision: int = 0) -> Interacted:
    """Return a like."""
    return Interacted(USER, event_id, at_ms, item_id, LIKE, revision)


def expected(log: Sequence[HistoryEvent], capacity: int) -> History:
    """Return the history by its definition: over the whole log at once, nothing forgotten."""
    erased_ms = max([NEVER_ERASED, *(e.at_ms for e in log if isinstance(e, Erased))])
    placed = [e for e in log if not isinstance(e, Erased)]
    places = sorted({(e.at_ms, e.event_id) for e in placed})[-capacity:]
    counting = []
    for place in places:
        here = [e for e in placed if (e.at_ms, e.event_id) == place]
        if place[0] <= erased_ms or any(isinstance(e, TakenBack) for e in here):
            continue
        revisions = [e for e in here if isinstance(e, Interacted)]
        counting.append(max(revisions, key=lambda e: (e.revision, e.item_id, e.event)))
    return History(
        user_id=USER,
        item_ids=tuple(e.item_id for e in counting),
        times_ms=tuple(e.at_ms for e in counting),
        events=tuple(e.event for e in counting),
        version=max([0, erased_ms, *(at_ms for at_ms, _ in places)]),
    )


@given(logs, st.integers(1, 8))
def test_a_history_is_what_the_whole_log_defines(log: list[HistoryEvent], capacity: int) -> None:
    state = empty(capacity)
    for event in log:
        state = state.merged([event])
    assert state.history() == expected(log, capacity)


@given(logs, st.data())
def test_order_repetition_and_batches_change_no_byte(
    log: list[HistoryEvent], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(log), max_size=6)) if log else []
    repeated = [*log, *again]
    arrival: list[HistoryEvent] = data.draw(st.permutations(repeated))
    state = empty()
    while arrival:
        size = data.draw(st.integers(1, len(arrival)))
        batch, arrival = arrival[:size], arrival[size:]
        state = state.merged(batch)
    assert state.to_bytes() == empty().merged(log).to_bytes()
    assert state.content_hash == empty().merged(log).content_hash


@given(logs, logs, logs)
def test_states_form_a_join_semilattice(
    one: list[HistoryEvent], two: list[HistoryEvent], three: list[HistoryEvent]
) -> None:
    a, b, c = (empty().merged(log) for log in (one, two, three))
    assert a.joined(b) == b.joined(a)
    assert a.joined(b).joined(c) == a.joined(b.joined(c))
    assert a.joined(a) == a
    assert a.joined(b) == empty().merged([*one, *two])


@given(logs, logs)
def test_the_version_never_decreases(log: list[HistoryEvent], more: list[HistoryEvent]) -> None:
    state = empty().merged(log)
    assert state.merged(more).version >= state.version


@given(logs)
def test_bytes_give_the_state_back(log: list[HistoryEvent]) -> None:
    state = empty().merged(log)
    assert HistoryState.from_bytes(state.to_bytes()) == state


@given(logs, logs)
def test_the_events_of_a_batch_alone_join_to_the_same_as_merging_them(
    log: list[HistoryEvent], batch: list[HistoryEvent]
) -> None:
    """So a worker need not read before it writes."""
    assert empty().merged(log).joined(empty().merged(batch)) == empty().merged(log).merged(batch)


def test_a_late_event_is_put_in_its_place() -> None:
    state = empty().merged([like("e1", 10, "a"), like("e2", 30, "b")])
    assert state.merged([like("late", 20, "c")]).history().item_ids == ("a", "c", "b")


def test_an_event_older_than_a_full_history_changes_nothing() -> None:
    state = empty().merged(like(f"e{n}", 10 * n) for n in range(1, 4))
    assert state.merged([like("late", 5)]) == state


def test_a_correction_wins_before_and_after_what_it_corrects() -> None:
    wrong, right = like("e1", 10, "a"), like("e1", 10, "b", revision=1)
    for log in ([wrong, right], [right, wrong]):
        assert empty().merged(log).history().item_ids == ("b",)


def test_taking_back_wins_before_and_after_the_interaction_and_its_corrections() -> None:
    undone = TakenBack(USER, "e1", 10)
    done: list[list[HistoryEvent]] = [
        [like("e1", 10), undone],
        [undone, like("e1", 10, revision=5)],
    ]
    for log in done:
        assert empty().merged(log).history().item_ids == ()


def test_a_place_taken_back_stays_taken() -> None:
    """Otherwise an older event would count or not, by whether it came before the undo."""
    full = [like(f"e{n}", 10 * n, f"i{n}") for n in range(1, 5)]
    undone = TakenBack(USER, "e4", 40)
    assert empty().merged(full).merged([undone]).history().item_ids == ("i2", "i3")
    assert empty().merged([undone]).merged(full).history().item_ids == ("i2", "i3")


def test_erasure_forgets_what_was_and_what_arrives_late() -> None:
    state = empty().merged([like("e1", 10), like("e2", 20), Erased(USER, 20)])
    assert state.entries == ()
    assert b"e1" not in state.to_bytes()
    assert state.merged([like("late", 15)]).history().item_ids == ()
    assert state.merged([like("new", 21, "n")]).history().item_ids == ("n",)


def test_items_taken_down_are_left_out_and_come_back_when_reinstated() -> None:
    state = empty().merged([like("e1", 10, "a"), Interacted(USER, "e2", 20, "b", SKIP)])
    assert state.history(removed={"a"}).item_ids == ("b",)
    assert state.history(removed={"a"}).version == 20
    assert state.history().item_ids == ("a", "b")


def test_any_text_is_an_id() -> None:
    for odd in ("", '"', "名前 😀", "a\nb", "\ud800"):
        state = HistoryState.empty(odd).merged([Interacted(odd, odd, 1, odd, LIKE)])
        assert HistoryState.from_bytes(state.to_bytes()) == state


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(ValueError, match="event of user 'bob' for 'ada'"):
        empty().merged([Erased("bob", 1)])
    with pytest.raises(ValueError, match=r"'ada' with 3 places and of 'ada' with 4"):
        empty().joined(empty(4))
    with pytest.raises(ValueError, match="event must be one of"):
        Interacted(USER, "e1", 1, "a", "love")
    with pytest.raises(SettingsError, match="at least 1, got 0"):
        empty(0)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "Expecting value"),
        (b"\xff", "codec"),
        (b"[]", "indices"),
        (b"{}", "format"),
        (b'{"format":2}', "format 2 instead of 1"),
        (b'{"format":1,"user_id":"ada","capacity":0}', "at least 1"),
        (b'{"format":1,"user_id":"ada","capacity":3}', "entries"),
    ],
)
def test_bytes_that_are_no_state_are_refused(data: bytes, fault: str) -> None:
    with pytest.raises(HistoryStoreError, match=fault):
        HistoryState.from_bytes(data)


@pytest.mark.parametrize(
    "entries",
    [
        '[[1,"e",false,0,"a","love"]]',
        '[["1","e",false,0,"a","like"]]',
        '[[1,"e",false,0,"a"]]',
        '[[2,"e",false,0,"a","like"],[1,"e",false,0,"a","like"]]',
        '[[1,"e",false,0,"a","like"],[1,"e",false,1,"a","like"]]',
        '[[-2,"e",false,0,"a","like"]]',
        "[" + ",".join(f'[{n},"e",false,0,"a","like"]' for n in range(4)) + "]",
    ],
)
def test_entries_that_cannot_be_are_refused(entries: str) -> None:
    text = f'{{"format":1,"user_id":"ada","capacity":3,"erased_ms":-1,"entries":{entries}}}'
    with pytest.raises(HistoryStoreError, match="replay the user's events"):
        HistoryState.from_bytes(text.encode())
