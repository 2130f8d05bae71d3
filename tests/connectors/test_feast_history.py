"""The Feast history store: the ports' contracts, and what Feast alone could get wrong."""

import shutil
import sqlite3
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from feast import FeatureStore
from feast.protos.feast.types.Value_pb2 import Value

from pigeon_recsys.errors import (
    HistoryStoreError,
    SettingsError,
    UnknownUser,
)
from pigeon_recsys.history.events import Erased, TakenBack
from pigeon_recsys.history.from_interactions import event_of
from pigeon_recsys.records import LIKE, History, Interaction
from pigeon_recsys.testing.history_contract import START_MS, HistoryStoreContract, make_history
from pigeon_recsys.testing.history_state_contract import (
    HistoryStateStoreContract,
    like,
    state_of,
)
from pigeon_recsys_connectors import feast_online
from pigeon_recsys_connectors.feast_history import PUBLISH_BATCH, FeastHistoryStore
from pigeon_recsys_connectors.feast_online import OnlineRows
from pigeon_recsys_connectors.feast_online import _values as feast_online_values
from pigeon_recsys_connectors.feast_rows import to_rows

ONLINE = Path("data/online.db")


class TestFeastHistoryStore(HistoryStoreContract, HistoryStateStoreContract):
    """Every store of the contract is a copy of one repository, which must not mind moving."""

    @pytest.fixture(autouse=True)
    def _remember_folders(self, empty_repository: Path, tmp_path: Path) -> None:
        self.empty_repository = empty_repository
        self.folder = tmp_path / "store"

    def make_state_store(self) -> FeastHistoryStore:
        return self.make_store()

    def make_store(self) -> FeastHistoryStore:
        return FeastHistoryStore.open(shutil.copytree(self.empty_repository, self.folder))


def test_create_materializes_the_highest_version_of_each_user(tmp_path: Path) -> None:
    """The highest version wins though its newest event is older, as after a deletion."""
    long, short = make_history("ada", 5, version=1), make_history("ada", 2, version=2)
    never_active = make_history("bob", num_events=0)
    old = History("cy", ("i",), (-START_MS,), (LIKE,))
    store = FeastHistoryStore.create(tmp_path / "store", [short, long, never_active, old])
    assert store.recent("ada", limit=9) == short
    assert store.recent("bob", limit=9) == never_active
    assert store.recent("cy", limit=9) == old


def test_an_opened_store_reads_what_another_wrote(tmp_path: Path) -> None:
    made = FeastHistoryStore.create(tmp_path / "store", [make_history("ada")])
    opened = FeastHistoryStore.open(tmp_path / "store")
    made.publish([make_history("ada", num_events=5, version=2)])
    assert opened.recent("ada", limit=9) == make_history("ada", num_events=5, version=2)


def test_historical_answers_with_the_history_as_of_each_moment(tmp_path: Path) -> None:
    """A minute lies between events, so half a minute after the second the user has two."""
    histories = [make_history("ada", number, version=number) for number in (1, 2, 3)]
    store = FeastHistoryStore.create(tmp_path / "store", histories)
    store.publish([make_history("ada", 4, version=4)])
    half_a_minute, minute = 30_000, 60_000
    moments = [
        ("ada", START_MS + 9 * minute),
        ("bob", START_MS),
        ("ada", START_MS - 1),
        ("ada", START_MS + minute + half_a_minute),
        ("ada", START_MS),
    ]
    assert store.historical(moments) == [histories[2], None, None, histories[1], histories[0]]
    assert store.historical([("bob", START_MS)]) == [None]
    assert store.historical([]) == []


def test_a_store_over_time_answers_by_version_also_where_nothing_is_left(tmp_path: Path) -> None:
    """An erasure leaves no interaction whose time could be the row's."""
    rows = [make_history("ada", 2, version=START_MS + 9), History("ada", (), (), (), START_MS + 20)]
    store = FeastHistoryStore.create_over_time(tmp_path / "store", rows)
    asked = [("ada", START_MS + after) for after in (8, 9, 19, 20)]
    assert store.historical(asked) == [None, rows[0], rows[0], rows[1]]
    with pytest.raises(UnknownUser):
        store.recent("ada", limit=1)


def test_what_was_published_and_is_sent_again_as_events_counts_once(folder: Path) -> None:
    store = FeastHistoryStore.open(folder)
    published = make_history("ada", 3)
    store.publish([published])
    columns = zip(published.item_ids, published.events, published.times_ms, strict=True)
    events = [event_of(Interaction("ada", *row)) for row in columns]
    store.join([state_of(events[1:])])
    assert store.recent("ada", 9).item_ids == published.item_ids
    store.join([state_of([TakenBack("ada", events[0].event_id, events[0].at_ms)])])
    assert store.recent("ada", 9).item_ids == published.item_ids[1:]


def test_threads_read_whole_histories_while_one_publishes(folder: Path) -> None:
    """SQLite's one connection would show a reader rows of two versions in mid-push."""
    store = FeastHistoryStore.open(folder)
    users = [f"user-{number}" for number in range(8)]
    store.publish(make_history(user, 1, version=1) for user in users)

    def publish() -> None:
        for version in range(2, 12):
            store.publish(make_history(user, version, version=version) for user in users)

    def read(user: str) -> list[History]:
        return [store.recent(user, limit=99) for _ in range(40)]

    with ThreadPoolExecutor(5) as threads:
        published = threads.submit(publish)
        reads = list(threads.map(read, users))
        published.result()
    for user, histories in zip(users, reads, strict=True):
        versions = [history.version for history in histories]
        assert versions == sorted(versions)
        assert histories == [make_history(user, version, version=version) for version in versions]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The users of each write to an online store, which takes place no more."""
    users: list[list[str]] = []

    def write(_: OnlineRows, histories: Iterable[History], *more: object) -> None:
        users.append([history.user_id for history in histories])

    monkeypatch.setattr(OnlineRows, "write", write)
    return users


def test_publishing_writes_in_batches(folder: Path, written: list[list[str]]) -> None:
    store = FeastHistoryStore.open(folder)
    store.publish(make_history(f"user-{number}") for number in range(PUBLISH_BATCH + 1))
    assert [len(users) for users in written] == [PUBLISH_BATCH, 1]


def test_a_publish_leaves_the_offline_file_alone(tmp_path: Path) -> None:
    store = FeastHistoryStore.create(tmp_path / "store", [make_history("ada")])
    offline = tmp_path / "store/data/histories.parquet"
    before = offline.read_bytes()
    store.publish([make_history("ada", version=2)])
    assert offline.read_bytes() == before


def test_a_store_that_fails_later_says_what_it_was_asked(folder: Path) -> None:
    store = FeastHistoryStore.open(folder)
    (folder / ONLINE).write_bytes(b"not a database" * 99)
    with pytest.raises(HistoryStoreError, match="reading user 'ada' failed in .*DatabaseError"):
        store.recent("ada", limit=1)
    with pytest.raises(HistoryStoreError, match="publishing 1 histories failed"):
        store.publish([make_history("ada")])


def test_times_in_smaller_units_are_refused(folder: Path) -> None:
    microseconds = History("ada", ("i",), (START_MS * 1000,), (LIKE,))
    with pytest.raises(HistoryStoreError, match=r"user 'ada' has the time \d+.*Give milliseconds"):
        FeastHistoryStore.open(folder).publish([microseconds])


def test_a_history_published_before_the_first_events_stays_in_it(folder: Path) -> None:
    """Its interactions stand a minute apart, where an erasure finds them."""
    store = FeastHistoryStore.open(folder)
    published = make_history("ada", 3)
    store.publish([published])
    assert store.states(["ada"]) == {}
    assert store.join([state_of([like(9)])]).num_changed == 1
    assert store.recent("ada", 9).item_ids == (*published.item_ids, like(9).item_id)
    assert store.join([state_of([like(9)])]).num_changed == 0
    store.join([state_of([Erased("ada", published.times_ms[1])])])
    assert store.recent("ada", 9).item_ids == (published.item_ids[2], like(9).item_id)


def test_what_events_say_is_not_overwritten_by_a_published_history(folder: Path) -> None:
    store = FeastHistoryStore.open(folder)
    state = state_of([like(1)])
    store.join([state])
    newer = state.version + 1
    histories = [make_history("ada", version=newer), make_history("bob", version=newer)]
    assert store.publish(histories) == 1
    assert store.states(["ada", "bob"]) == {"ada": state}
    assert store.recent("ada", 9) == state.history()


def test_only_what_changes_is_written(folder: Path, request: pytest.FixtureRequest) -> None:
    store = FeastHistoryStore.open(folder)
    store.join([state_of([like(1)])])
    written: list[list[str]] = request.getfixturevalue("written")
    store.join([state_of([like(1)])])
    store.join([state_of([like(1)]), state_of([like(1, "bob")], "bob")])
    assert written == [["bob"]]


def test_what_is_written_is_what_a_push_would_write(folder: Path) -> None:
    """Byte for byte in the online store, times of writing aside."""
    store = FeastHistoryStore.open(folder, clock=lambda: 1_000.0)
    states = {user: state_of([like(1, user)], user) for user in ("ada", "bob")}
    states["cy"] = state_of([Erased("cy", 5)], "cy")
    store.join(states.values())
    ours = online_values(folder)
    histories = [state.history() for state in states.values()]
    rows = to_rows(histories, 1_000_000, states).to_pandas()
    FeatureStore(repo_path=str(folder)).push("history_push", rows)
    assert online_values(folder) == ours


def online_values(folder: Path) -> list[tuple[object, ...]]:
    """Return what SQLite keeps of the view."""
    with closing(sqlite3.connect(folder / ONLINE)) as database:
        return database.execute(
            "SELECT entity_key, feature_name, value, value_text, event_ts "
            "FROM pigeon_user_history ORDER BY entity_key, feature_name"
        ).fetchall()


def test_a_read_beyond_its_limit_is_marked(folder: Path) -> None:
    """Written at 1,000 s with a limit of a minute: fresh at 1,060 s, stale after."""
    now_s = 1_000.0
    store = FeastHistoryStore.open(folder, max_age_s=60, clock=lambda: now_s)
    store.join([state_of([like(1)])])
    now_s = 1_060.0
    assert store.recent("ada", limit=1).written_ms == 1_000_000
    assert not store.recent("ada", limit=1).is_stale
    now_s = 1_060.1
    assert store.recent("ada", limit=1).is_stale
    assert not FeastHistoryStore.open(folder).recent("ada", limit=1).is_stale
    store.join([state_of([like(2)])])
    assert not store.recent("ada", limit=1).is_stale


def test_with_a_limit_a_history_of_unknown_age_is_stale(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were written before the store knew the column have no age."""
    with monkeypatch.context() as earlier:
        earlier.setattr(feast_online, "_values", without_age)
        FeastHistoryStore.open(folder).publish([make_history("ada")])
    assert FeastHistoryStore.open(folder).recent("ada", 1).written_ms is None
    assert not FeastHistoryStore.open(folder).recent("ada", 1).is_stale
    assert FeastHistoryStore.open(folder, max_age_s=1e9).recent("ada", 1).is_stale


def without_age(*args: Any) -> Any:
    """Return values as a writer without `written_ms` would write them."""
    return feast_online_values(*args) | {"written_ms": Value()}


@pytest.mark.parametrize("max_age_s", [0, -1, float("nan")])
def test_an_age_limit_that_is_not_above_zero_is_refused(folder: Path, max_age_s: float) -> None:
    with pytest.raises(SettingsError, match=f"max_age_s must be above 0.*got {max_age_s}"):
        FeastHistoryStore.open(folder, max_age_s=max_age_s)
