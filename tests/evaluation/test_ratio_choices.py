"""Ways to choose the ratio, on a table small enough to work out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pigeon_recsys.alignment.ratio_training import SweepTable, TrainedRatio
from pigeon_recsys.evaluation.ratio_choices import CHOICES, choice_shares, compare_choices, judge_of
from pigeon_recsys.generation.ratio_predictor import RatioPredictor
from pigeon_recsys.records import HistoryImage, Pixels, SweepImage, Vectors
from pigeon_recsys.testing.generator_contract import make_task


class FirstPixel:
    """A network whose vector is a picture's first pixel, as a unit vector."""

    label = "first pixel"
    tensor_hashes: frozenset[str] = frozenset()

    def image_vectors(self, images: Sequence[Pixels]) -> Vectors:
        found = np.stack([image[0, 0].astype(np.float32) for image in images])
        return found / np.linalg.norm(found, axis=1, keepdims=True)


RED, GREEN = (np.full((2, 2, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 0)))


@pytest.mark.parametrize(
    ("reference", "expected"),
    [(GREEN, [0.5 * 2 / 3, 0.5 / 3 + 0.5]), (None, [2 / 3, 1 / 3])],
)
def test_a_judge_asks_for_history_and_reference_in_equal_parts(
    reference: Pixels | None, expected: list[float]
) -> None:
    """Two of three liked pictures are red; the sweep made a red and a green one."""
    task = replace(
        make_task(),
        history=tuple(HistoryImage("liked", pixels) for pixels in (RED, RED, GREEN)),
        reference_pixels=reference,
    )
    images = [SweepImage(0.5, pixels, 0.0, 0.0, 0.0) for pixels in (RED, GREEN)]
    sweep = SimpleNamespace(task=task, images=images)
    assert judge_of(FirstPixel())(sweep) == pytest.approx(expected)  # type: ignore[arg-type]


def test_each_choice_gets_the_value_of_what_it_takes() -> None:
    """Two held-out users, two ratios; the predictor always says the first, training the second.

    sweep takes 0.9 and 0.8; predicted 0.9 and 0.2; best fixed 0.1 and 0.8; random the means,
    0.5 and 0.5.
    """
    features = np.zeros((2, 1), np.float32)
    predictor = RatioPredictor(
        (0.0, 1.0),
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
        np.zeros((1, 2), np.float32),
        np.array([1, 0], np.float32),
    )
    train = SweepTable(("a", "b"), features, np.array([[0, 1], [0, 1]], np.float32))
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    held_out = SweepTable(("c", "d"), features, scores)
    shares = choice_shares(TrainedRatio(predictor, train, held_out))
    found = compare_choices(held_out, scores, shares)
    assert tuple(found) == CHOICES
    means = {name: estimate.mean for name, estimate in found.items()}
    assert means == pytest.approx(
        {"sweep": 0.85, "predicted": 0.55, "best_fixed": 0.45, "random": 0.5}
    )
