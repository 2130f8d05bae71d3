"""What every fault test shares: a plant, somebody who sends, and a line of counts."""

import multiprocessing.forkserver
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafka_broker.cluster import Cluster
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from tests.connectors.faults.plant import Plant
from tests.connectors.faults.sending import Sender
from tests.connectors.processes import FORKING  # noqa: F401  names what the server imports


@pytest.fixture(scope="session", autouse=True)
def _workers_soon() -> None:
    """Let the server of workers import Feast while the broker starts."""
    multiprocessing.forkserver.ensure_running()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of no histories; copied, because making one takes longer."""
    folder = tmp_path_factory.mktemp("empty") / "store"
    FeastHistoryStore.create(folder, [])
    return folder


@pytest.fixture
def plant(kafka: Cluster, tmp_path: Path, empty_store: Path) -> Plant:
    """Topics and stores of a test's own."""
    return Plant.build(kafka, tmp_path, empty_store)


@pytest.fixture
def sender(plant: Plant) -> Iterator[Sender]:
    """Who writes events and requests."""
    with Sender.to(plant.bootstrap) as found:
        yield found


@pytest.fixture
def tell(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[..., None]:
    """Print a test's counts in a line, and record them in the report."""

    def tell(counts: dict[str, int], **more: float) -> None:
        told = {**counts, **more}
        record_property("counts", told)
        line = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in told.items())
        sys.stdout.write(f"\n{request.node.name}: {line}\n")

    return tell
