import math

import numpy as np
import pytest

from pigeon_recsys.ranking.metrics import area_under_roc, log_loss


def test_the_area_is_the_share_of_pairs_in_order() -> None:
    """Positives 0.9 and 0.4, negatives 0.5 and 0.1: three of four pairs are in order."""
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.5, 0.1])
    assert area_under_roc(labels, scores) == pytest.approx(0.75)


def test_a_tie_counts_half() -> None:
    assert area_under_roc(np.array([1, 0]), np.array([0.5, 0.5])) == pytest.approx(0.5)


def test_log_loss_is_the_mean_of_the_negative_logarithms() -> None:
    """-ln 0.8 for the like, -ln(1 - 0.25) for the other."""
    found = log_loss(np.array([1, 0]), np.array([0.8, 0.25]))
    assert found == pytest.approx(-(math.log(0.8) + math.log(0.75)) / 2)
