"""Make and open a Feast feature repository that holds user histories and generated items.

In:  a folder, and the histories to start with.
Out: the folder as a self-contained repository, and Feast's handle on it.

The definitions are those of the shipped `feature_repo/`: it is copied, never restated.
"""

import io
import logging
import os
import re
import runpy
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pigeon_recsys.errors import (
    ArtifactError,
    HistoryStoreError,
    MissingExtra,
    OutputError,
    PigeonError,
    SettingsError,
    StoreError,
)
from pigeon_recsys.files import atomic_path, check_writable_folder, write_bytes_atomic
from pigeon_recsys.records import History
from pigeon_recsys_connectors import METRIC_VARIABLES
from pigeon_recsys_connectors.feast_item_rows import ITEM_SCHEMA, USER_ITEMS_SCHEMA
from pigeon_recsys_connectors.feast_rows import NO_FEATURES, ROW_SCHEMA, to_rows

try:
    from feast import Entity, FeatureService, FeatureStore, FeatureView, RepoConfig
    from feast.data_source import DataSource
    from feast.errors import FeatureViewNotFoundException
    from feast.feast_object import FeastObject
except ModuleNotFoundError as exc:
    raise MissingExtra("feast", needed_for="the Feast history store") from exc

logger = logging.getLogger(__name__)

if os.environ.get(METRIC_VARIABLES[0]) == os.devnull:  # set for Feast alone, see __init__.py
    for variable in METRIC_VARIABLES:
        os.environ.pop(variable, None)

CONFIG = "feature_store.yaml"
DEFINITIONS = "definitions.py"
DATA = "data"
OFFLINE_FILE = "histories.parquet"
ITEM_OFFLINE_FILE = "generated_items.parquet"
USER_ITEMS_OFFLINE_FILE = "user_items.parquet"
SERVICE = "slot_history"
VIEW = "user_history"
ITEM_VIEW = "generated_items"
USER_ITEMS_VIEW = "user_items"
EMPTY_FILES = {ITEM_OFFLINE_FILE: ITEM_SCHEMA, USER_ITEMS_OFFLINE_FILE: USER_ITEMS_SCHEMA}
EXTRA_OF_DRIVER = {"psycopg": "postgres", "psycopg_pool": "postgres", "redis": "redis"}
WINDOW_MARGIN = timedelta(seconds=1)  # materialization may leave out its bounds


@contextmanager
def vendor_errors(
    doing: str, folder: Path, error: type[StoreError] = HistoryStoreError
) -> Iterator[None]:
    """Re-raise whatever Feast or a store behind it raises as `error`."""
    try:
        yield
    except PigeonError:
        raise
    except Exception as exc:
        raise error(
            f"{doing} failed in the Feast store {folder}: {type(exc).__name__}: {exc}. "
            f"Check the values and the stores that {folder / CONFIG} names; a missing table is "
            f"made by: feast -c {folder} apply"
        ) from exc


def shipped_feature_repo() -> Path:
    """Return the folder of the shipped definitions, in a wheel or a source checkout."""
    package = Path(__file__).resolve().parent
    places = (package / "feature_repo", package.parents[1] / "feature_repo")
    for folder in places:
        if (folder / CONFIG).is_file():
            return folder
    raise ArtifactError(
        places[0], "is missing from the installation", rebuild="pip install pigeon-recsys[feast]"
    )


def make_repository(folder: Path, histories: Iterable[History]) -> None:
    """Make `folder` a feature repository, apply it and materialize the histories.

    Every history becomes a row of the offline store; the highest version of each user goes
    online. A store made here before is replaced. The settings file is written last, so an
    interrupted run leaves a folder that `open_repository` refuses.
    """
    shipped = shipped_feature_repo()
    _clear(folder)
    write_bytes_atomic(folder / DEFINITIONS, (shipped / DEFINITIONS).read_bytes())
    latest_of_version = {(history.user_id, history.version): history for history in histories}
    with vendor_errors("creating it", folder), _quiet():
        rows = to_rows(latest_of_version.values(), time.time_ns() // 1_000_000)
        with atomic_path(folder / DATA / OFFLINE_FILE) as path:
            pq.write_table(rows, path)
        for name, columns in EMPTY_FILES.items():
            with atomic_path(folder / DATA / name) as path:
                pq.write_table(columns.empty_table(), path)
        store = FeatureStore(repo_path=str(folder), fs_yaml_file=shipped / CONFIG)
        store.apply(_definitions(folder))
        if len(rows):
            bounds = pc.min_max(rows["event_timestamp"]).as_py()
            first, last = bounds["min"], bounds["max"]
            store.materialize(first - WINDOW_MARGIN, last + WINDOW_MARGIN, [VIEW])
    write_bytes_atomic(folder / CONFIG, (shipped / CONFIG).read_bytes())


def open_repository(folder: Path) -> tuple[FeatureStore, FeatureService]:
    """Return Feast's handle on the repository and the feature service of histories to read.

    Raises `ArtifactError` for a folder that is no history store or has lost its registry.
    """
    with _opening(folder):
        store = _opened(folder, {VIEW: ROW_SCHEMA})
        return store, store.get_feature_service(SERVICE)


def open_item_repository(folder: Path) -> FeatureStore:
    """Return Feast's handle on the repository, which knows generated items and whose they are.

    Raises `ArtifactError` as `open_repository` does, and for one of an earlier version.
    """
    with _opening(folder):
        return _opened(folder, {ITEM_VIEW: ITEM_SCHEMA, USER_ITEMS_VIEW: USER_ITEMS_SCHEMA})


@contextmanager
def _opening(folder: Path) -> Iterator[None]:
    """Re-raise what goes wrong on opening a repository, with what makes it anew."""
    rebuild = f"FeastHistoryStore.create({str(folder)!r}, histories)"
    if not (folder / CONFIG).is_file():
        raise ArtifactError(folder, f"is no history store: it holds no {CONFIG}", rebuild=rebuild)
    try:
        yield
    except PigeonError:
        raise
    except Exception as exc:
        _check_driver(folder, exc)
        fault = f"cannot be opened by Feast: {type(exc).__name__}: {exc}"
        raise ArtifactError(folder, fault, rebuild=rebuild) from exc


def _opened(folder: Path, views: Mapping[str, pa.Schema]) -> FeatureStore:
    store = FeatureStore(repo_path=str(folder), fs_yaml_file=folder / CONFIG)
    _check_places(folder, store.config)
    for view, columns in views.items():
        _check_features(folder, store, view, columns)
    return store


def _clear(folder: Path) -> None:
    """Empty `folder` of an earlier store; refuse one that holds anything else."""
    check_writable_folder(folder)
    ours = {CONFIG, DEFINITIONS, DATA}
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in ours)
    if foreign:
        raise OutputError(
            f"cannot make a history store in {folder}: it holds {foreign[0]!r}, which is not part "
            "of one. Name a new or empty folder."
        )
    (folder / CONFIG).unlink(missing_ok=True)  # first: from here on the folder is no store
    if (folder / DATA).is_dir():
        shutil.rmtree(folder / DATA)


def _definitions(folder: Path) -> list[FeastObject]:
    """Return what `feast apply` would find, without its change of directory and `sys.path`."""
    kinds = (Entity, DataSource, FeatureView, FeatureService)
    names = runpy.run_path(str(folder / DEFINITIONS))
    return [value for value in names.values() if isinstance(value, kinds)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what Feast prints to the log; libraries here do not print."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            yield
    finally:
        logger.info("feast: %s", printed.getvalue().strip())


def _check_places(folder: Path, config: RepoConfig) -> None:
    """Raise for a place that is not there; Feast would make an empty one instead."""
    places = f"{config.registry_config} {config.online_config} {config.offline_config}"
    unset = re.search(r"\$\{(\w+)\}", places)
    if unset:
        raise SettingsError(
            f"{folder / CONFIG} needs the environment variable {unset[1]}, which is not set. "
            "Set it, or write its value into the file."
        )
    registry = folder / str(config.registry.path)
    is_local = "://" not in str(config.registry.path)
    if is_local and not registry.is_file():
        raise ArtifactError(registry, "is missing", rebuild=f"feast -c {folder} apply")


def _check_driver(folder: Path, failure: BaseException) -> None:
    """Raise `MissingExtra` if the failure comes from a driver of ours that is not installed."""
    cause: BaseException | None = failure
    while cause is not None:
        extra = EXTRA_OF_DRIVER.get(getattr(cause, "name", None) or "")
        if extra and isinstance(cause, ModuleNotFoundError):
            needed_for = f"the online store that {folder / CONFIG} names"
            raise MissingExtra(extra, needed_for=needed_for, library=cause.name) from failure
        cause = cause.__cause__ or cause.__context__


def _check_features(folder: Path, store: FeatureStore, view: str, columns: pa.Schema) -> None:
    """Raise for a repository that was applied before the view had all that is written to it."""
    try:
        known = {field.name for field in store.get_feature_view(view).schema}
    except FeatureViewNotFoundException:
        if not store.list_feature_views():
            raise  # no earlier version: the registry has lost everything
        lack = f"they lack the view {view}"
    else:
        missing = sorted(set(columns.names) - set(NO_FEATURES) - known)
        if not missing:
            return
        lack = f"its view {view} lacks {', '.join(missing)}"
    definitions = shipped_feature_repo() / DEFINITIONS
    raise ArtifactError(
        folder,
        f"has definitions of an earlier version: {lack}",
        rebuild=f"cp {definitions} {folder} && feast -c {folder} apply",
    )
