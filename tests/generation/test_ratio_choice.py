"""The selection scorer, on pictures whose embeddings are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS, best_first, score_sweep
from pigeon_recsys.records import Pixels, Vectors


class AngleEmbedder:
    """Embeds a picture as the angle, in degrees, that its first pixel names."""

    dim = 2

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        angles = np.radians([float(image[0, 0, 0]) for image in images])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def at(angle: int) -> Pixels:
    return np.full((2, 2, 3), angle, np.uint8)


def test_the_score_is_half_history_half_reference() -> None:
    """Cosines: 0°→1, 60°→½, 90°→0. History at 0° and 60°: mean ¾; reference at 90°: 0."""
    (image,) = score_sweep(AngleEmbedder(), [at(0)], [0.3], [at(0), at(60)], at(90))
    assert image.history_score == pytest.approx(0.75)
    assert image.reference_score == pytest.approx(0.0, abs=1e-6)
    assert image.score == pytest.approx(0.375)
    assert image.reference_mask_ratio == 0.3


def test_what_is_missing_does_not_count() -> None:
    (no_reference,) = score_sweep(AngleEmbedder(), [at(0)], [0.0], [at(60)], None)
    (no_history,) = score_sweep(AngleEmbedder(), [at(0)], [0.0], [], at(60))
    assert no_reference.score == pytest.approx(0.5)
    assert no_history.score == pytest.approx(0.5)


def test_the_best_comes_first_and_equals_prefer_the_higher_ratio() -> None:
    pictures = [at(90), at(0), at(0)]
    sweep = score_sweep(AngleEmbedder(), pictures, [0.0, 0.5, 1.0], [at(0)], None)
    assert [image.reference_mask_ratio for image in best_first(sweep)] == [1.0, 0.5, 0.0]


def test_the_sweep_has_eleven_ratios_from_none_to_all() -> None:
    assert REFERENCE_RATIOS == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
