"""Real servers, one of each kind for the whole run, and empty feature repositories on them."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from feast import FeatureStore

from kafka_broker.cluster import Cluster
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_repository import _definitions, shipped_feature_repo
from tests.connectors.operated import Ingest, ingest_on
from tests.connectors.servers import (
    LOOPBACK,
    POSTGRES_USER,
    Postgres,
    Redis,
    postgres_server,
    redis_server,
)

SETTINGS = "feature_store.yaml"
TABLE = "pigeon_user_history"  # of the online store in Postgres
ITEM_TABLE = "pigeon_generated_items"
USER_ITEMS_TABLE = "pigeon_user_items"


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A real Redis."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real Postgres."""
    with postgres_server() as server:
        yield server


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


@pytest.fixture(scope="session")
def documented(repo_root: Path) -> dict[str, str]:
    """The settings of each kind of online store, from the README of the feature repository."""
    blocks = re.findall(
        r"```yaml\n(.*?)```", (repo_root / "feature_repo/README.md").read_text(), re.DOTALL
    )
    return {yaml.safe_load(block)["online_store"]["type"]: block for block in blocks}


def apply(folder: Path, online_store: str) -> Path:
    """Make a feature repository with these settings of its online store, and apply it."""
    shutil.copytree(shipped_feature_repo(), folder, ignore=shutil.ignore_patterns("data"))
    shipped = (folder / SETTINGS).read_text()
    settings = re.sub(r"online_store:\n(  .*\n)+", online_store, shipped)
    assert settings != shipped
    (folder / SETTINGS).write_text(settings)
    FeatureStore(repo_path=str(folder)).apply(_definitions(folder))
    return folder


@pytest.fixture(scope="session")
def redis_repository(
    redis: Redis, documented: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A feature repository whose online store is Redis."""
    block = documented["redis"].replace("${PIGEON_REDIS}", redis.address)
    return apply(tmp_path_factory.mktemp("redis") / "repo", block)


@pytest.fixture
def on_redis(redis: Redis, redis_repository: Path) -> Path:
    """The repository on Redis, emptied."""
    redis.client().flushdb()
    return redis_repository


@pytest.fixture(scope="session")
def postgres_repository(
    postgres: Postgres, documented: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A feature repository whose online store is Postgres."""
    values = {
        "HOST": LOOPBACK,
        "PORT": str(postgres.port),
        "DATABASE": "postgres",
        "USER": POSTGRES_USER,
        "PASSWORD": "not-asked-for",
        "SSLMODE": "disable",
    }
    block = re.sub(r"\$\{PIGEON_POSTGRES_(\w+)\}", lambda m: values[m[1]], documented["postgres"])
    return apply(tmp_path_factory.mktemp("postgres") / "repo", block)


@pytest.fixture
def on_postgres(postgres: Postgres, postgres_repository: Path) -> Path:
    """The repository on Postgres, emptied."""
    with postgres.connect() as connection:
        connection.execute(f"TRUNCATE {TABLE}, {ITEM_TABLE}, {USER_ITEMS_TABLE}")
    return postgres_repository


@pytest.fixture
def ingest(kafka: Cluster, tmp_path: Path) -> Iterator[Ingest]:
    """An ingest worker that has not been started, on topics of its own."""
    with ingest_on(kafka.bootstrap, kafka.unique("operated"), tmp_path / "feast") as found:
        kafka.topics.extend(found.topics[1::2])
        yield found
