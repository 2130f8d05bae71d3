"""The planted world, and a ranker trained and exported on it once."""

from pathlib import Path

import pytest

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.ranking.quality import RankerReport
from pigeon_recsys.testing.fakes import FakeIndex
from tests.ranking.planted_world import ITEM_IDS, SETTINGS, style_vectors, write_folder


@pytest.fixture(scope="session")
def index() -> FakeIndex:
    """The vectors of the planted items."""
    return FakeIndex(ITEM_IDS, style_vectors())


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """The planted world."""
    return write_folder(tmp_path_factory.mktemp("planted") / "folder")


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, dataset: DatasetFolder, index: FakeIndex
) -> tuple[Path, RankerReport]:
    """A run folder, and what training reported."""
    from pigeon_recsys.ranking.train import train_ranker

    run = tmp_path_factory.mktemp("run")
    return run, train_ranker(dataset, index, run, SETTINGS)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, trained: tuple[Path, RankerReport]) -> Path:
    """The trained ranker as ONNX."""
    from pigeon_recsys.ranking.export import export_ranker

    path = tmp_path_factory.mktemp("export") / "ranker.onnx"
    export_ranker(trained[0], path)
    return path
