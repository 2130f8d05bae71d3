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


class HalvedAngleEmbedder:
    """Two angles: the first pixel's red is the content, its green the taste."""

    dim = 4
    content_dim = 2

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        angles = np.radians([[float(value) for value in image[0, 0, :2]] for image in images])
        halves = [np.cos(angles[:, :1]), np.sin(angles[:, :1])]
        halves += [np.cos(angles[:, 1:]), np.sin(angles[:, 1:])]
        return (np.concatenate(halves, axis=1) / np.sqrt(2)).astype(np.float32)


def picture(content: int, taste: int) -> Pixels:
    return np.full((2, 2, 3), (content, taste, 0), np.uint8)


def test_history_is_compared_by_taste_and_the_reference_by_content() -> None:
    """Taste 60 degrees from the history's: 0.5; content that of the reference: 1. Mean 0.75."""
    (image,) = score_sweep(
        HalvedAngleEmbedder(), [picture(0, 60)], [0.3], [picture(90, 0)], picture(0, 120)
    )
    assert image.history_score == pytest.approx(0.5)
    assert image.reference_score == pytest.approx(1.0)
    assert image.score == pytest.approx(0.75)
