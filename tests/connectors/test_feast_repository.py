"""Feature repositories: made, opened, and refused with a reason."""

import os
import re
import runpy
import shutil
import subprocess
import sys
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
from pigeon_recsys.testing.history_contract import make_history
from pigeon_recsys_connectors import METRIC_VARIABLES, feast_repository
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_repository import shipped_feature_repo

REGISTRY = Path("data/registry.db")
ONLINE = Path("data/online.db")


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


def test_settings_take_environment_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = folder / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("data/", "${PIGEON_FEAST_DATA}/"))
    with pytest.raises(SettingsError, match="needs the environment variable PIGEON_FEAST_DATA"):
        FeastHistoryStore.open(folder)
    monkeypatch.setenv("PIGEON_FEAST_DATA", str((folder / "data").rename(folder / "elsewhere")))
    assert FeastHistoryStore.open(folder).publish([make_history("ada")]) == 1


def test_the_slot_does_not_read_the_state(folder: Path) -> None:
    service = FeatureStore(repo_path=str(folder)).get_feature_service("slot_history")
    (projection,) = service.feature_view_projections
    assert [feature.name for feature in projection.features] == [
        *("item_ids", "times_ms", "events", "version", "written_ms")
    ]


def test_definitions_of_an_earlier_version_are_named(folder: Path) -> None:
    definitions = (folder / "definitions.py").read_text()
    earlier = re.sub(r'        Field\(name="state".*\n', "", definitions)
    assert earlier != definitions
    (folder / "definitions.py").write_text(earlier)
    FeatureStore(repo_path=str(folder)).apply(feast_repository._definitions(folder))
    fault = r"its view user_history lacks state\. Rebuild it with: cp .*definitions\.py .* apply"
    with pytest.raises(ArtifactError, match=fault):
        FeastHistoryStore.open(folder)


@pytest.mark.parametrize(("driver", "extra"), [("redis", "redis"), ("psycopg", "postgres")])
def test_a_missing_driver_names_its_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch, driver: str, extra: str
) -> None:
    for module in [name for name in sys.modules if re.search(r"online_stores\.(redis|post)", name)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, driver, None)
    settings = folder / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("type: sqlite", f"type: {extra}"))
    with pytest.raises(MissingExtra, match=rf"needs {driver}\. Run: .*pigeon-recsys\[{extra}\]"):
        FeastHistoryStore.open(folder)


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


def test_reading_leaves_nothing_outside_of_the_process(folder: Path, tmp_path: Path) -> None:
    """Feast's own metrics would leave a folder behind when a worker is killed."""
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pigeon_recsys_connectors.feast_history import FeastHistoryStore\n"
        "print(FeastHistoryStore.open(Path(sys.argv[1])).states(['ada']), flush=True)\n"
        "assert not any('PROMETHEUS' in name for name in os.environ)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    for name in METRIC_VARIABLES:
        environment.pop(name, None)
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("{}\n", -9), done.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "loaded", ["pigeon_recsys_connectors", "pigeon_recsys_connectors.feast_history"]
)
def test_what_a_process_starts_keeps_its_metrics_in_its_own_way(loaded: str) -> None:
    """A variable left behind would make prometheus_client of a child write files into nowhere."""
    script = (
        "import os, subprocess, sys\n"
        f"import {loaded}\n"
        "assert not any('PROMETHEUS' in name for name in os.environ), 'left behind'\n"
        'child = \'import prometheus_client as p; p.Gauge("g", "g").set(1)\'\n'
        "subprocess.run([sys.executable, '-c', child], check=True)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in METRIC_VARIABLES}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
