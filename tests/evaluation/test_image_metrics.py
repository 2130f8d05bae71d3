"""The paper's metrics: what is compared with what, and how a case's number comes about."""

import numpy as np
import pytest

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.columns import Column
from pigeon_recsys.evaluation.image_metrics import (
    NearCopies,
    PairMeasure,
    TextScore,
    cosine_measure,
    perceptual_measure,
    scales_that_fit,
    structural_measures,
)
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.near_copies import NEAR_COPY_DISTANCE, nearest_distance, thumbnails
from pigeon_recsys.evaluation.perceptual_distance import PerceptualDistance
from pigeon_recsys.records import GenerationTask, HistoryImage, Reference


def grey(value, side=16):
    return np.full((side, side, 3), value, np.uint8)


def case(history=(), reference=None, text="words", target=None):
    images = tuple(HistoryImage(f"h{n}", pixels) for n, pixels in enumerate(history))
    task = GenerationTask("u", images, "", Reference("r", text), reference, 0)
    return Case(task, task, target)


def brightness(images, others):
    return [float(a.mean()) - float(b.mean()) for a, b in zip(images, others, strict=True)]


class HalfCircle:
    """Dark pictures look east, bright ones west; the text `east` too."""

    label = "half circle"
    tensor_hashes = frozenset()

    def image_vectors(self, images):
        angle = np.array([pixels.mean() / 255 * np.pi for pixels in images])
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)

    def text_vectors(self, texts):
        return np.array([(1, 0) if text == "east" else (-1, 0) for text in texts], np.float32)


def test_against_a_history_a_case_has_the_mean_and_without_one_nothing():
    """First case: 100 - 40 and 100 - 60, mean 50. Second case: no history, no target."""
    cases = [case([grey(40), grey(60)], grey(90)), case([], grey(10))]
    measure = PairMeasure("M", "net", "lower", brightness)
    assert measure.scores(cases, [grey(100), grey(20)]) == {
        Column("M", "reference", "net", "lower"): [10.0, 10.0],
        Column("M", "history", "net", "lower"): [50.0, None],
    }


def test_anchors_are_brought_to_the_size_of_the_pictures():
    found = PairMeasure("M", "", "lower", brightness).scores([case(target=grey(7, 30))], [grey(9)])
    assert found[Column("M", "target", "", "lower")] == [2.0]


def test_a_heading_always_names_the_network():
    assert Column("CIS", "history", "stand-in encoder", "higher").title == (
        "CIS history (stand-in encoder)"
    )
    assert Column("SSIM", "reference", "", "higher").title == "SSIM reference"


def test_the_image_score_is_a_cosine():
    """0 and 255 are half a turn apart: cosine -1."""
    scores = cosine_measure("CIS", HalfCircle()).scores([case(reference=grey(255))], [grey(0)])
    assert scores[Column("CIS", "reference", "half circle", "higher")] == pytest.approx([-1.0])


def test_the_text_score_leaves_out_references_without_words():
    cases = [case(text="east"), case(text=""), case(text="other")]
    scores = TextScore(HalfCircle()).scores(cases, [grey(0)] * 3)
    assert scores == {Column("CS", "text", "half circle", "higher"): [1.0, None, -1.0]}


def test_structural_metrics_are_one_for_equal_pictures_and_fall_with_noise():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (72, 72, 3), dtype=np.uint8)
    other = rng.integers(0, 256, (72, 72, 3), dtype=np.uint8)
    cases = [case(reference=picture), case(reference=other)]
    for measure in structural_measures(72, 72):
        (scores,) = measure.scores(cases, [picture, picture]).values()
        assert scores[0] == pytest.approx(1, abs=1e-5)
        assert scores[1] < 0.5


def test_a_small_picture_holds_fewer_scales_and_the_heading_says_so():
    """By torchmetrics' rule n scales need 11 · (n - 1)² pixels: 72 hold 3, 176 all 5."""
    assert [scales_that_fit(side) for side in (11, 72, 99, 175, 176)] == [2, 3, 4, 4, 5]
    assert structural_measures(72, 72)[1].metric == "MS-SSIM of 3 scales"
    assert structural_measures(176, 200)[1].metric == "MS-SSIM"
    with pytest.raises(SettingsError, match="at least 11 pixels a side, got 8"):
        structural_measures(8, 64)


def test_lpips_is_named_by_its_network():
    distance = PerceptualDistance("net", lambda pixels_BCHW: [pixels_BCHW], frozenset())
    scores = perceptual_measure(distance).scores([case(reference=grey(9))], [grey(9)])
    assert scores == {Column("LPIPS", "reference", "net", "lower"): [0.0]}


def test_near_copies_are_told_apart_by_where_they_come_from():
    cases = [case([grey(100)]), case([grey(200)]), case()]
    scores = NearCopies(thumbnails([grey(50)])).scores(cases, [grey(102), grey(51), grey(0)])
    assert {column.against: found for column, found in scores.items()} == {
        "of catalog": [0.0, 1.0, 0.0],
        "of history": [1.0, 0.0, 0.0],
    }


def test_a_copy_at_another_size_is_still_a_near_copy_of_the_history():
    """Noise of 32 × 48 pixels: from its thumbnail, the resized copy is more than 10 of 255."""
    poster = np.random.default_rng(0).integers(0, 256, (48, 32, 3)).astype(np.uint8)
    copy = resize(poster, 16, 16)
    assert nearest_distance(thumbnails([copy]), thumbnails([poster]))[0] > NEAR_COPY_DISTANCE
    scores = NearCopies(thumbnails([grey(0)])).scores([case([poster])], [copy])
    assert {column.against: found for column, found in scores.items()}["of history"] == [1.0]
