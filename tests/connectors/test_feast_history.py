"""The Feast history store: the port's contract, and what Feast alone could get wrong."""

import runpy
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from feast import FeatureStore
from feast.cli.cli import cli

from pigeon_recsys.errors import (
    ArtifactError,
    HistoryStoreError,
    MissingExtra,
    OutputError,
    SettingsError,
    UnknownUser,
)
from pigeon_recsys.ports import HistoryStore
from pigeon_recsys.records import LIKE, History
from pigeon_recsys.testing.history_contract import START_MS, HistoryStoreContract, make_history
from pigeon_recsys_connectors import feast_repository
from pigeon_recsys_connectors.feast_history import PUBLISH_BATCH, FeastHistoryStore
from pigeon_recsys_connectors.feast_repository import shipped_feature_repo

REGISTRY = Path("data/registry.db")
ONLINE = Path("data/online.db")


@pytest.fixture(scope="module")
def empty_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store made of no histories; copied, because making one takes longer."""
    folder = tmp_path_factory.mktemp("empty") / "store"
    FeastHistoryStore.create(folder, [])
    return folder


@pytest.fixture
def folder(empty_repository: Path, tmp_path: Path) -> Path:
    """A copy of the empty store, to be broken."""
    return shutil.copytree(empty_repository, tmp_path / "store")


class TestFeastHistoryStore(HistoryStoreContract):
    """Every store of the contract is a copy of one repository, which must not mind moving."""

    @pytest.fixture(autouse=True)
    def _remember_folders(self, empty_repository: Path, tmp_path: Path) -> None:
        self.empty_repository = empty_repository
        self.folder = tmp_path / "store"

    def make_store(self) -> HistoryStore:
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


def test_publishing_pushes_in_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeastHistoryStore.open(folder)
    pushes: list[int] = []
    monkeypatch.setattr(FeatureStore, "push", lambda _, name, rows: pushes.append(len(rows)))
    store.publish(make_history(f"user-{number}") for number in range(PUBLISH_BATCH + 1))
    assert pushes == [PUBLISH_BATCH, 1]


def test_a_publish_leaves_the_offline_file_alone(tmp_path: Path) -> None:
    store = FeastHistoryStore.create(tmp_path / "store", [make_history("ada")])
    offline = tmp_path / "store/data/histories.parquet"
    before = offline.read_bytes()
    store.publish([make_history("ada", version=2)])
    assert offline.read_bytes() == before


def test_create_replaces_a_store_and_prints_nothing(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    FeastHistoryStore.open(folder).publish([make_history("old", version=9)])
    store = FeastHistoryStore.create(folder, [make_history("new")])
    assert store.recent("new", limit=1).version == 1
    with pytest.raises(UnknownUser):
        store.recent("old", limit=1)
    assert capfd.readouterr() == ("", "")


def test_create_refuses_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"it holds 'thesis\.tex'.*Name a new or empty folder"):
        FeastHistoryStore.create(tmp_path, [])
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_interrupted_create_leaves_no_store_and_can_be_repeated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(FeatureStore, "materialize", interrupted)
        with pytest.raises(HistoryStoreError, match="creating it failed .*the disk is full"):
            FeastHistoryStore.create(folder, [make_history("ada")])
    with pytest.raises(ArtifactError, match="it holds no feature_store.yaml"):
        FeastHistoryStore.open(folder)
    assert FeastHistoryStore.create(folder, [make_history("ada")]).recent("ada", limit=1)


def test_opening_nothing_names_the_folder_and_how_to_make_one(tmp_path: Path) -> None:
    fault = r"nowhere is no history store.*Rebuild it with: FeastHistoryStore\.create\('.*nowhere'"
    with pytest.raises(ArtifactError, match=fault):
        FeastHistoryStore.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_lost_registry_is_named_and_not_made_anew(folder: Path) -> None:
    (folder / REGISTRY).unlink()
    with pytest.raises(ArtifactError, match=r"registry\.db is missing.*feast -c .*store apply"):
        FeastHistoryStore.open(folder)
    assert not (folder / REGISTRY).exists()


@pytest.mark.parametrize("content", [b"not a registry", b""])
def test_a_corrupt_registry_is_an_artifact_error(folder: Path, content: bytes) -> None:
    (folder / REGISTRY).write_bytes(content)
    with pytest.raises(ArtifactError, match="store cannot be opened by Feast: .*Rebuild it with"):
        FeastHistoryStore.open(folder)


def test_a_settings_file_that_is_no_yaml_is_an_artifact_error(folder: Path) -> None:
    (folder / "feature_store.yaml").write_text("project: [")
    with pytest.raises(ArtifactError, match="cannot be opened by Feast: ParserError"):
        FeastHistoryStore.open(folder)


@pytest.mark.parametrize("content", [b"not a database" * 99, b""])
def test_a_broken_online_store_is_found_on_opening(folder: Path, content: bytes) -> None:
    (folder / ONLINE).write_bytes(content)
    with pytest.raises(HistoryStoreError, match="a first read failed .*store apply") as caught:
        FeastHistoryStore.open(folder)
    assert type(caught.value.__cause__).__module__ == "sqlite3"


def test_a_store_that_fails_later_names_the_user(folder: Path) -> None:
    store = FeastHistoryStore.open(folder)
    (folder / ONLINE).write_bytes(b"not a database" * 99)
    with pytest.raises(HistoryStoreError, match="reading user 'ada' failed in .*DatabaseError"):
        store.recent("ada", limit=1)
    with pytest.raises(HistoryStoreError, match="1 histories from user 'ada' on failed"):
        store.publish([make_history("ada")])


def test_times_in_smaller_units_are_refused(folder: Path) -> None:
    microseconds = History("ada", ("i",), (START_MS * 1000,), (LIKE,))
    with pytest.raises(HistoryStoreError, match=r"user 'ada' has the time \d+.*Give milliseconds"):
        FeastHistoryStore.open(folder).publish([microseconds])


def test_settings_take_environment_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = folder / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("data/", "${PIGEON_FEAST_DATA}/"))
    with pytest.raises(SettingsError, match="needs the environment variable PIGEON_FEAST_DATA"):
        FeastHistoryStore.open(folder)
    monkeypatch.setenv("PIGEON_FEAST_DATA", str((folder / "data").rename(folder / "elsewhere")))
    assert FeastHistoryStore.open(folder).publish([make_history("ada")]) == 1


def feast_apply(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run `feast -c FOLDER apply` as a person would, undo its traces and return its output."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    answer = CliRunner().invoke(cli, ["-c", str(folder), "apply"])
    sys.modules.pop("definitions", None)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_shipped_definitions_apply_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = shipped_feature_repo()
    folder = shutil.copytree(shipped, tmp_path / "repo", ignore=shutil.ignore_patterns("data"))
    assert "Created feature service slot_history" in feast_apply(folder, monkeypatch)
    assert FeastHistoryStore.open(folder).publish([make_history("ada")]) == 1


def test_feast_apply_on_a_live_store_keeps_its_histories(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FeastHistoryStore.open(folder).publish([make_history("ada")])
    feast_apply(folder, monkeypatch)
    assert FeastHistoryStore.open(folder).recent("ada", limit=9) == make_history("ada")


def test_an_installation_without_the_definitions_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feast_repository, "__file__", str(tmp_path / "a/b/c.py"))
    with pytest.raises(ArtifactError, match="feature_repo is missing from the installation"):
        shipped_feature_repo()


def test_a_missing_feast_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "feast", None)
    with pytest.raises(
        MissingExtra, match=r'needs feast\. Run: pip install "pigeon-recsys\[feast\]"'
    ):
        runpy.run_path(feast_repository.__file__)
