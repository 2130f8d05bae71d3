"""The shipped weights behind the generator port, and the fake beside them."""

from pathlib import Path

import pytest

from pigeon_recsys.generation.laddered_generator import LadderedPigeon
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.model.inference import PigeonModel
from pigeon_recsys.ports import ImageGenerator, LadderedGenerator
from pigeon_recsys.testing.fake_laddered_generator import FakeLadderedGenerator
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder, FakeGenerator, FakeIndex
from pigeon_recsys.testing.generator_contract import (
    ImageGeneratorContract,
    LadderedGeneratorContract,
)
from pigeon_recsys.wiring import SHIPPED_WEIGHTS


@pytest.fixture(scope="module")
def model() -> PigeonModel:
    return PigeonModel.load(SHIPPED_WEIGHTS)


class TestFakeGenerator(ImageGeneratorContract):
    def make_generator(self) -> ImageGenerator:
        return FakeGenerator()


class TestFakeLadderedGenerator(LadderedGeneratorContract):
    def make_generator(self) -> LadderedGenerator:
        return FakeLadderedGenerator()


def make_pigeon(model: PigeonModel) -> PigeonGenerator:
    embedder = FakeEmbedder()
    catalog = FakeCatalog()
    vectors = embedder.embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    settings = GeneratorSettings(ratios=(0.2, 0.8), steps=1)
    return PigeonGenerator(model, embedder, FakeIndex(catalog.item_ids, vectors), settings)


class TestPigeonGenerator(ImageGeneratorContract):
    @pytest.fixture(autouse=True)
    def _load(self, model: PigeonModel) -> None:
        self.model = model

    def make_generator(self) -> ImageGenerator:
        return make_pigeon(self.model)


class TestLadderedPigeon(LadderedGeneratorContract):
    @pytest.fixture(autouse=True)
    def _load(self, model: PigeonModel) -> None:
        self.model = model

    def make_generator(self) -> LadderedGenerator:
        return LadderedPigeon(make_pigeon(self.model))


def test_shipped_files_keep_to_their_limits() -> None:
    sizes = [path.stat().st_size for path in Path(SHIPPED_WEIGHTS).parent.rglob("*.safetensors")]
    mib = 2**20
    assert max(sizes) <= 16 * mib
    assert sum(sizes) <= 48 * mib
