"""Ways to choose the ratio, on a table small enough to work out by hand."""

import numpy as np
import pytest

from pigeon_recsys.alignment.ratio_training import SweepTable, TrainedRatio
from pigeon_recsys.evaluation.ratio_choices import CHOICES, choice_shares, compare_choices
from pigeon_recsys.generation.ratio_predictor import RatioPredictor


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
