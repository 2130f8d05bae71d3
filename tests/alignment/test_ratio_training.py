"""Training the ratio predictor, on sweeps whose best ratio is planted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.alignment.ratio_training import (
    RatioTrainingSettings,
    SweepTable,
    fit_predictor,
    train_ratio,
)
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings, PigeonGenerator
from pigeon_recsys.records import Pixels
from pigeon_recsys.testing.fakes import FakeEmbedder, FakeIndex

RATIOS = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Written:
    ratios: tuple[float, ...]
    pictures: tuple[Pixels, ...]
    history_keep: tuple[np.ndarray, ...] = ()


class CopyingModel:
    """Paints the reference at ratio 0, the oldest history picture at 1, grey between them."""

    version = "v1"

    def write_tokens(self, orders, **options):  # type: ignore[no-untyped-def]
        grey = np.full((8, 8, 3), 128, np.uint8)
        return [
            Written(tuple(order.ratios), (order.reference, grey, order.history[0]))
            for order in orders
        ]

    def paint(self, written, **options):  # type: ignore[no-untyped-def]
        return written.pictures


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=60, num_users=40, seed=4, size=72)
    return DatasetFolder.open(folder)


def generator_for(world: DatasetFolder) -> PigeonGenerator:
    embedder = FakeEmbedder()
    vectors = embedder.embed([world.pixels(item_id) for item_id in world.item_ids])
    index = FakeIndex(world.item_ids, vectors)
    return PigeonGenerator(CopyingModel(), embedder, index, GeneratorSettings(ratios=RATIOS))  # type: ignore[arg-type]


def test_it_trains_on_training_users_and_holds_others_out(world: DatasetFolder) -> None:
    generator = generator_for(world)
    settings = RatioTrainingSettings(train_users=12, held_out_users=4)
    trained = train_ratio(world, generator, generator.index, settings)
    assert len(trained.train.user_ids) == 12
    assert {user_split(user) for user in trained.train.user_ids} == {"train"}
    assert "train" not in {user_split(user) for user in trained.held_out.user_ids}
    assert trained.held_out.scores_NR.shape == (len(trained.held_out.user_ids), 3)
    assert trained.predictor.ratios == RATIOS
    again = train_ratio(world, generator, generator.index, settings)
    np.testing.assert_array_equal(again.predictor.weight_FR, trained.predictor.weight_FR)


def test_it_learns_when_each_ratio_is_best() -> None:
    """The sign of the first feature decides between the outer ratios."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 5)).astype(np.float32)
    scores = np.outer(np.sign(features[:, 0]), [-0.2, 0, 0.2]) + rng.normal(0, 0.02, (100, 3))
    users = tuple(f"u{number}" for number in range(100))
    table = SweepTable(users, features, scores.astype(np.float32))
    found = fit_predictor(table, RATIOS, seed=0).best_ratios(features)
    right = [
        ratio == (1.0 if row[0] > 0 else 0.0) for ratio, row in zip(found, features, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_too_few_users_are_named(tmp_path: Path) -> None:
    generate_world(tmp_path / "small", num_items=60, num_users=5, seed=1, size=72)
    small = DatasetFolder.open(tmp_path / "small")
    generator = generator_for(small)
    with pytest.raises(SettingsError, match="a ratio predictor needs at least 10 and 1"):
        train_ratio(small, generator, generator.index, RatioTrainingSettings())


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="train_users must be at least 10, got 3"):
        RatioTrainingSettings(train_users=3)
