"""The predictor of the reference-mask ratio."""

from pathlib import Path

import numpy as np
import pytest

from pigeon_recsys.errors import ArtifactError, SettingsError
from pigeon_recsys.generation.ratio_predictor import (
    RECORD_FILE,
    WEIGHTS_FILE,
    RatioPredictor,
    fit_ridge,
    ratio_features,
)
from pigeon_recsys.records import Pixels
from pigeon_recsys.testing.fakes import FakeEmbedder

RATIOS = (0.0, 0.5, 1.0)


def noise(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)


def fitted() -> tuple[RatioPredictor, np.ndarray, np.ndarray]:
    """Scores that are a line of the first of four features; the others are noise."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 4)).astype(np.float32)
    slopes = np.array([-0.2, 0.0, 0.2], np.float32)
    scores = 0.5 + features[:, :1] * slopes
    return fit_ridge(features, scores, RATIOS, 1e-4), features, scores


def test_it_finds_a_planted_line() -> None:
    predictor, features, scores = fitted()
    np.testing.assert_allclose(predictor.scores(features), scores, atol=1e-3)
    best = [RATIOS[place] for place in scores.argmax(axis=1)]
    assert predictor.best_ratios(features) == best


def test_a_feature_that_never_varies_does_no_harm() -> None:
    features = np.ones((10, 2), np.float32)
    features[:, 0] = np.arange(10)
    scores = np.outer(np.arange(10), [0.0, 0.1, 0.2]).astype(np.float32)
    assert np.isfinite(fit_ridge(features, scores, RATIOS, 0.01).scores(features)).all()


def test_it_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    predictor, features, _ = fitted()
    predictor.save(tmp_path, {"train_users": 80})
    loaded = RatioPredictor.load(tmp_path)
    assert loaded.ratios == RATIOS
    np.testing.assert_array_equal(loaded.scores(features), predictor.scores(features))


@pytest.mark.parametrize("file", [WEIGHTS_FILE, RECORD_FILE])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    fitted()[0].save(tmp_path, {})
    (tmp_path / file).unlink()
    with pytest.raises(ArtifactError, match=f"{file} is missing.*pigeon-recsys train ratio"):
        RatioPredictor.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (WEIGHTS_FILE, b"\x00", "is corrupt"),
        (RECORD_FILE, b"{}", "does not describe a ratio predictor"),
        (RECORD_FILE, b'{"ratios": [0.5]}', r"holds weights \(4, 3\) for 1 ratios"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    fitted()[0].save(tmp_path, {})
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        RatioPredictor.load(tmp_path)


def test_features_of_another_embedder_are_refused() -> None:
    with pytest.raises(SettingsError, match="reads 4 features, got 7"):
        fitted()[0].scores(np.zeros((1, 7), np.float32))


@pytest.mark.parametrize(("num_history", "with_reference"), [(0, False), (0, True), (3, False)])
def test_every_request_has_as_many_features(num_history: int, with_reference: bool) -> None:
    history = [noise(seed) for seed in range(num_history)]
    full = ratio_features(FakeEmbedder(), [noise(1)], noise(2))
    found = ratio_features(FakeEmbedder(), history, noise(9) if with_reference else None)
    assert found.shape == full.shape
    assert np.isfinite(found).all()
