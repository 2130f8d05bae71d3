"""What every `HistoryStateStore` must do, as tests to inherit.

    class TestMyStateStore(HistoryStateStoreContract):
        def make_state_store(self) -> HistoryStateStore:
            return MyStore(...)

`make_state_store` returns an empty store each time it is called.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest

from pigeon_recsys.errors import HistoryStoreError, SettingsError, UnknownUser
from pigeon_recsys.history.events import Erased, HistoryEvent, Interacted, TakenBack
from pigeon_recsys.history.state import DEFAULT_CAPACITY, HistoryState
from pigeon_recsys.ports import HistoryStateStore
from pigeon_recsys.records import LIKE
from pigeon_recsys.testing.history_contract import ODD_USERS, START_MS


def like(number: int, user_id: str = "ada") -> Interacted:
    """Return the user's like of item `number`, as many minutes after the start."""
    at_ms = START_MS + 60_000 * number
    return Interacted(user_id, f"{user_id}/event {number} é", at_ms, f"item,{number} é", LIKE)


def state_of(events: Iterable[HistoryEvent], user_id: str = "ada") -> HistoryState:
    """Return what these events make known of a user."""
    return HistoryState.empty(user_id).merged(events)


class HistoryStateStoreContract(ABC):
    """Inherit and supply `make_state_store`."""

    @abstractmethod
    def make_state_store(self) -> HistoryStateStore:
        """Return an empty store."""

    def test_it_has_the_methods_of_the_state_port(self) -> None:
        assert isinstance(self.make_state_store(), HistoryStateStore)

    def test_a_joined_state_comes_back_whole(self) -> None:
        store = self.make_state_store()
        state = state_of([like(1), like(2), TakenBack("ada", "gone", START_MS), Erased("ada", 5)])
        assert store.join([state]).num_changed == 1
        assert store.states(["ada"]) == {"ada": state}

    def test_a_state_with_every_place_taken_comes_back_whole(self) -> None:
        store = self.make_state_store()
        state = state_of(like(number) for number in range(DEFAULT_CAPACITY + 1))
        store.join([state])
        assert store.states(["ada"])["ada"].to_bytes() == state.to_bytes()
        assert store.recent("ada", DEFAULT_CAPACITY) == state.history()

    def test_users_without_a_state_are_absent(self) -> None:
        store = self.make_state_store()
        store.join([state_of([like(1)])])
        assert set(store.states(iter(["bob", "ada", "ada"]))) == {"ada"}
        assert store.states([]) == {}

    def test_the_history_is_what_counts_in_the_state(self) -> None:
        store = self.make_state_store()
        liked = [like(number) for number in range(3)]
        state = state_of([*liked, TakenBack("ada", liked[1].event_id, liked[1].at_ms)])
        store.join([state])
        assert store.recent("ada", limit=9) == state.history()
        assert store.recent("ada", limit=1).item_ids == (liked[2].item_id,)
        assert store.recent("ada", limit=1).version == state.version

    def test_a_user_without_a_state_is_unknown(self) -> None:
        store = self.make_state_store()
        store.join([state_of([like(1)])])
        with pytest.raises(UnknownUser, match="'bob'"):
            store.recent("bob", limit=5)

    def test_a_limit_below_one_of_a_joined_history_is_refused(self) -> None:
        store = self.make_state_store()
        store.join([state_of([like(1)])])
        with pytest.raises(SettingsError, match="limit must be at least 1, got 0"):
            store.recent("ada", limit=0)

    def test_joining_what_is_known_changes_nothing(self) -> None:
        store = self.make_state_store()
        state = state_of([like(1), like(2)])
        store.join([state])
        written_ms = store.recent("ada", limit=1).written_ms
        assert store.join([state, state_of([like(1)]), state_of([])]).num_changed == 0
        assert store.join([]).num_changed == 0
        assert store.states(["ada"]) == {"ada": state}
        assert store.recent("ada", limit=1).written_ms == written_ms

    def test_a_join_tells_the_state_of_every_user_named(self) -> None:
        """Of those of whom nothing new came too: who writes a log of states needs them all."""
        store = self.make_state_store()
        store.join([state_of([like(1)]), state_of([like(1, "bob")], "bob")])
        joined = store.join([state_of([like(2)]), state_of([like(1, "bob")], "bob"), state_of([])])
        assert joined.states == store.states(["ada", "bob"])
        assert joined.num_changed == 1

    def test_a_late_writer_overwrites_nothing(self) -> None:
        """It comes with less than is stored, and with something that nobody knew."""
        store = self.make_state_store()
        store.join([state_of([like(1), like(2), like(3)])])
        assert store.join([state_of([like(0), like(1)])]).num_changed == 1
        everything = state_of(like(number) for number in range(4))
        assert store.states(["ada"]) == {"ada": everything}
        assert store.recent("ada", limit=9) == everything.history()

    def test_the_order_of_writers_changes_no_byte(self) -> None:
        parts = [
            state_of([like(1), like(2)]),
            state_of([TakenBack("ada", like(2).event_id, like(2).at_ms), like(3)]),
            state_of([Erased("ada", like(1).at_ms), like(1)]),
        ]
        expected = parts[0].joined(parts[1]).joined(parts[2])
        assert expected.history().item_ids == (like(3).item_id,)
        store = self.make_state_store()
        for number, order in enumerate(permutations(parts)):
            user_id = f"user-{number}"
            for part in order:
                store.join([_of_user(user_id, part)])
            assert store.states([user_id])[user_id] == _of_user(user_id, expected)
            assert store.recent(user_id, 9).content_hash == expected.history().content_hash

    def test_what_was_erased_does_not_come_back(self) -> None:
        store = self.make_state_store()
        store.join([state_of([like(1), like(2)])])
        store.join([state_of([Erased("ada", like(2).at_ms)])])
        assert store.recent("ada", limit=9).item_ids == ()
        assert store.join([state_of([like(1), like(2)])]).num_changed == 0
        assert store.recent("ada", limit=9).item_ids == ()

    def test_a_user_counts_once_however_many_states_come(self) -> None:
        store = self.make_state_store()
        states = [state_of([like(number)]) for number in range(3)]
        assert store.join(iter([*states, state_of([like(1, "bob")], "bob")])).num_changed == 2
        assert store.recent("ada", limit=9).item_ids == tuple(like(n).item_id for n in range(3))

    def test_any_text_is_the_user_id_of_a_state(self) -> None:
        store = self.make_state_store()
        states = {user_id: state_of([like(1, user_id)], user_id) for user_id in ODD_USERS}
        assert store.join(states.values()).num_changed == len(ODD_USERS)
        assert store.states(ODD_USERS) == states

    def test_more_than_a_thousand_users_are_joined_in_one_call(self) -> None:
        store = self.make_state_store()
        users = [f"user-{number}" for number in range(1_001)]
        states = {user_id: state_of([like(1, user_id)], user_id) for user_id in users}
        assert store.join(states.values()).num_changed == 1_001
        assert store.join(states.values()).num_changed == 0
        assert store.states(users) == states

    def test_a_state_of_another_capacity_is_refused(self) -> None:
        store = self.make_state_store()
        store.join([state_of([like(1)])])
        smaller = HistoryState.empty("ada", capacity=7).merged([like(2)])
        with pytest.raises(HistoryStoreError, match=f"{DEFAULT_CAPACITY} places.* with 7 cannot"):
            store.join([smaller])
        assert store.states(["ada"]) == {"ada": state_of([like(1)])}

    def test_a_read_says_when_the_state_was_joined(self) -> None:
        store = self.make_state_store()
        before_ms = int(time.time() * 1000)
        store.join([state_of([like(1)])])
        written_ms = store.recent("ada", limit=1).written_ms
        assert written_ms is not None
        assert before_ms <= written_ms <= time.time() * 1000

    def test_threads_that_write_at_once_lose_nothing(self) -> None:
        store = self.make_state_store()
        users, num_writers, num_joins = ("ada", "bob"), 3, 5

        def write(writer: int) -> None:
            for number in range(writer, num_writers * num_joins, num_writers):
                store.join(state_of([like(number, user)], user) for user in users)

        with ThreadPoolExecutor(num_writers) as threads:
            list(threads.map(write, range(num_writers)))
        for user in users:
            everything = state_of((like(n, user) for n in range(num_writers * num_joins)), user)
            assert store.states([user]) == {user: everything}


def _of_user(user_id: str, state: HistoryState) -> HistoryState:
    return HistoryState(user_id, state.capacity, state.entries, state.erased_ms)
