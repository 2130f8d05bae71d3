"""What every `HistoryStore` must do, as tests to inherit.

    class TestMyStore(HistoryStoreContract):
        def make_store(self) -> HistoryStore:
            return MyStore(...)

`make_store` returns an empty store each time it is called.
"""

import time
from abc import ABC, abstractmethod

import pytest

from pigeon_recsys.errors import SettingsError, UnknownUser
from pigeon_recsys.ports import HistoryStore
from pigeon_recsys.records import LIKE, NEUTRAL, SKIP, History

START_MS = 1_735_689_600_123  # past 2**40, and not a whole second
ODD_USERS = (
    "",
    " ",
    "007",
    "7",
    "user,1",
    "a\"b'c",
    "a/b:c|d",
    "名前 😀",
    "tab\tand\nline",
    "None",
)


def make_history(user_id: str, num_events: int = 3, version: int = 1) -> History:
    """Return a history with telling ids, times a minute apart and all kinds of events."""
    return History(
        user_id=user_id,
        item_ids=tuple(f"{user_id}/item,{number} é" for number in range(num_events)),
        times_ms=tuple(START_MS + 60_000 * number for number in range(num_events)),
        events=tuple((LIKE, SKIP, NEUTRAL)[number % 3] for number in range(num_events)),
        version=version,
    )


class HistoryStoreContract(ABC):
    """Inherit and supply `make_store`."""

    @abstractmethod
    def make_store(self) -> HistoryStore:
        """Return an empty store."""

    def test_it_has_the_methods_of_the_port(self) -> None:
        assert isinstance(self.make_store(), HistoryStore)

    def test_a_published_history_comes_back_whole(self) -> None:
        store = self.make_store()
        history = make_history("ada", num_events=4, version=7)
        assert store.publish([history]) == 1
        assert store.recent("ada", limit=4) == history

    def test_a_limit_above_the_length_returns_everything(self) -> None:
        store = self.make_store()
        history = make_history("ada")
        store.publish([history])
        assert store.recent("ada", limit=100) == history

    def test_a_limit_keeps_the_newest_with_the_newest_last(self) -> None:
        store = self.make_store()
        history = make_history("ada", num_events=5, version=3)
        store.publish([history])
        recent = store.recent("ada", limit=2)
        assert recent.item_ids == history.item_ids[-2:]
        assert recent.times_ms == history.times_ms[-2:]
        assert recent.events == history.events[-2:]
        assert recent.version == 3

    def test_a_user_never_seen_raises_unknown_user(self) -> None:
        store = self.make_store()
        store.publish([make_history("ada")])
        with pytest.raises(UnknownUser, match="'bob'"):
            store.recent("bob", limit=5)

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_below_one_is_refused(self, limit: int) -> None:
        store = self.make_store()
        store.publish([make_history("ada")])
        with pytest.raises(SettingsError, match=f"limit must be at least 1, got {limit}"):
            store.recent("ada", limit)

    def test_an_empty_history_is_known_and_empty(self) -> None:
        store = self.make_store()
        history = make_history("ada", num_events=0)
        store.publish([history])
        assert store.recent("ada", limit=5) == history

    def test_a_read_says_when_the_history_was_written(self) -> None:
        store = self.make_store()
        before_ms = int(time.time() * 1000)
        store.publish([make_history("ada")])
        written_ms = store.recent("ada", limit=1).written_ms
        assert written_ms is not None
        assert before_ms <= written_ms <= time.time() * 1000

    def test_users_stay_apart(self) -> None:
        store = self.make_store()
        ada, bob = make_history("ada"), make_history("bob", num_events=2)
        assert store.publish(iter([ada, bob])) == 2
        assert store.recent("ada", limit=5) == ada
        assert store.recent("bob", limit=5) == bob

    def test_any_text_is_a_user_id(self) -> None:
        store = self.make_store()
        histories = [make_history(user_id) for user_id in ODD_USERS]
        assert store.publish(histories) == len(ODD_USERS)
        assert [store.recent(user_id, limit=5) for user_id in ODD_USERS] == histories

    def test_more_than_a_thousand_users_are_published_in_one_call(self) -> None:
        store = self.make_store()
        histories = [make_history(f"user-{number}", num_events=1) for number in range(1_001)]
        assert store.publish(histories) == 1_001
        for history in (histories[0], histories[500], histories[-1]):
            assert store.recent(history.user_id, limit=5) == history

    def test_publishing_nothing_stores_nothing(self) -> None:
        assert self.make_store().publish([]) == 0

    def test_publishing_twice_changes_nothing(self) -> None:
        store = self.make_store()
        history = make_history("ada")
        store.publish([history])
        store.publish([history])
        assert store.recent("ada", limit=5) == history

    def test_a_newer_version_replaces_even_with_fewer_events(self) -> None:
        store = self.make_store()
        store.publish([make_history("ada", num_events=5, version=1)])
        newer = make_history("ada", num_events=1, version=2)
        assert store.publish([newer]) == 1
        assert store.recent("ada", limit=5) == newer

    def test_an_equal_version_replaces(self) -> None:
        """An event that arrives late changes a history but not the time of its newest event."""
        store = self.make_store()
        store.publish([make_history("ada", num_events=2, version=4)])
        corrected = make_history("ada", num_events=3, version=4)
        assert store.publish([corrected]) == 1
        assert store.recent("ada", limit=5) == corrected

    def test_an_older_version_is_left_out(self) -> None:
        store = self.make_store()
        newer = make_history("ada", num_events=3, version=9)
        store.publish([newer])
        assert store.publish([make_history("ada", num_events=5, version=8)]) == 0
        assert store.recent("ada", limit=5) == newer

    def test_the_fence_holds_for_each_user_alone(self) -> None:
        store = self.make_store()
        store.publish([make_history("ada", version=9), make_history("bob", version=1)])
        stale, fresh = make_history("ada", 5, version=8), make_history("bob", 5, version=2)
        assert store.publish([stale, fresh]) == 1
        assert store.recent("ada", limit=5).version == 9
        assert store.recent("bob", limit=5) == fresh

    def test_the_fence_holds_within_one_call(self) -> None:
        store = self.make_store()
        newer = make_history("ada", num_events=3, version=9)
        store.publish([newer, make_history("ada", num_events=5, version=8)])
        assert store.recent("ada", limit=5) == newer

    def test_rising_versions_in_one_call_count_each_and_keep_the_last(self) -> None:
        store = self.make_store()
        versions = [make_history("ada", num_events=number, version=number) for number in (1, 2, 3)]
        assert store.publish(versions) == 3
        assert store.recent("ada", limit=5) == versions[-1]
