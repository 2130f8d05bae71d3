"""The paper's metrics: each compares a method's pictures with the reference, the history or
the target.

In:  cases and the pictures a method made for them, all of one size.
Out: a number a case for every column.

CIS and DIS are cosines of picture vectors, CS the cosine of a picture with the reference's
text. Against a history, a case's number is the mean over the history's pictures.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.columns import ANCHORS, Better, Column, Scores, sized, to_bytes
from pigeon_recsys.evaluation.feature_networks import ImageNetwork, ImageTextNetwork
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.metric_library import torchmetric
from pigeon_recsys.evaluation.near_copies import is_near_copy, thumbnails
from pigeon_recsys.evaluation.perceptual_distance import PerceptualDistance
from pigeon_recsys.records import Pixels, Vectors

if TYPE_CHECKING:
    from torch import Tensor

SSIM_WINDOW = 11  # pixels; the kernel of both structural metrics
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, finest first


@dataclass(frozen=True)
class PairMeasure:
    """A metric over pairs of pictures, against every anchor."""

    metric: str
    network: str
    better: Better
    compare: Callable[[Sequence[Pixels], Sequence[Pixels]], Iterable[float]]

    def scores(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, Scores]:
        """Return the mean over each anchor's pictures."""
        found: dict[Column, Scores] = {}
        for against, anchors_of in ANCHORS.items():
            anchors = [anchors_of(case) for case in cases]
            owner = [row for row, pixels in enumerate(anchors) for _ in pixels]
            if owner:
                others = [sized(other, pictures[0]) for pixels in anchors for other in pixels]
                values = self.compare([pictures[row] for row in owner], others)
                column = Column(self.metric, against, self.network, self.better)
                found[column] = _means(owner, values, len(cases))
        return found


@dataclass(frozen=True)
class TextScore:
    """CS: the cosine of a picture and the reference's text."""

    network: ImageTextNetwork

    def scores(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, Scores]:
        """Return one cosine a case whose reference has words."""
        rows = [row for row, case in enumerate(cases) if case.task.reference.text.strip()]
        if not rows:
            return {}
        texts = self.network.text_vectors([cases[row].task.reference.text for row in rows])
        images = self.network.image_vectors([pictures[row] for row in rows])
        column = Column("CS", "text", self.network.label, "higher")
        return {column: _means(rows, (images * texts).sum(axis=1), len(cases))}


@dataclass(frozen=True)
class NearCopies:
    """The share of pictures that are near copies of one in the catalog or in the history."""

    catalog_thumbnails: Vectors  # of the items at the size of the pictures

    def scores(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, Scores]:
        """Return 1 or 0 a case."""
        made = thumbnails(pictures)
        histories = [
            thumbnails([sized(known, pictures[0]) for known in ANCHORS["history"](case)])
            for case in cases
        ]
        of_history: Scores = [
            is_near_copy(made[row : row + 1], known)[0] for row, known in enumerate(histories)
        ]
        of_catalog: Scores = [*is_near_copy(made, self.catalog_thumbnails)]
        return {
            Column("near copy", "of catalog", "", "neither"): of_catalog,
            Column("near copy", "of history", "", "neither"): of_history,
        }


def structural_measures(height: int, width: int) -> list[PairMeasure]:
    """Return SSIM and MS-SSIM for pictures of one size; small pictures hold fewer scales."""
    num_scales = scales_that_fit(min(height, width))
    weights = np.array(SCALE_WEIGHTS[:num_scales]) / sum(SCALE_WEIGHTS[:num_scales])
    betas = tuple(float(weight) for weight in weights)

    def ssim(images: Sequence[Pixels], others: Sequence[Pixels]) -> Iterable[float]:
        measure = torchmetric("functional.image", "structural_similarity_index_measure")
        left, right = _to_unit(images), _to_unit(others)
        values: list[float] = measure(left, right, data_range=1.0, reduction="none").tolist()
        return values

    def ms_ssim(images: Sequence[Pixels], others: Sequence[Pixels]) -> Iterable[float]:
        measure = torchmetric("functional.image", "multiscale_structural_similarity_index_measure")
        left, right = _to_unit(images), _to_unit(others)
        options = {"data_range": 1.0, "betas": betas, "reduction": "none"}
        values: list[float] = measure(left, right, **options).tolist()
        return values

    full = num_scales == len(SCALE_WEIGHTS)
    name = "MS-SSIM" if full else f"MS-SSIM of {num_scales} scales"
    return [
        PairMeasure("SSIM", "", "higher", _batched(ssim)),
        PairMeasure(name, "", "higher", _batched(ms_ssim)),
    ]


def scales_that_fit(side: int) -> int:
    """Return how many scales of MS-SSIM a picture holds; the rule is that of torchmetrics."""
    fitting = [
        count
        for count in range(1, len(SCALE_WEIGHTS) + 1)
        if side // max(1, count - 1) ** 2 >= SSIM_WINDOW
    ]
    if not fitting:
        raise SettingsError(
            f"pictures to compare must be at least {SSIM_WINDOW} pixels a side, got {side}"
        )
    return fitting[-1]


def cosine_measure(metric: str, network: ImageNetwork) -> PairMeasure:
    """Return CIS or DIS: the cosine of two pictures' vectors."""

    def compare(images: Sequence[Pixels], others: Sequence[Pixels]) -> Iterable[float]:
        distinct = {id(pixels): pixels for pixels in (*images, *others)}
        place = {key: row for row, key in enumerate(distinct)}
        vectors = network.image_vectors(list(distinct.values()))
        left = vectors[[place[id(pixels)] for pixels in images]]
        right = vectors[[place[id(pixels)] for pixels in others]]
        values: list[float] = (left * right).sum(axis=1).tolist()
        return values

    return PairMeasure(metric, network.label, "higher", compare)


def perceptual_measure(distance: PerceptualDistance) -> PairMeasure:
    """Return LPIPS."""

    def compare(images: Sequence[Pixels], others: Sequence[Pixels]) -> Iterable[float]:
        values: list[float] = distance.distances(images, others).tolist()
        return values

    return PairMeasure("LPIPS", distance.label, "lower", compare)


def _batched(
    compare: Callable[[Sequence[Pixels], Sequence[Pixels]], Iterable[float]], size: int = 64
) -> Callable[[Sequence[Pixels], Sequence[Pixels]], Iterable[float]]:
    """Compare so many pairs at once, which bounds memory."""

    def whole(images: Sequence[Pixels], others: Sequence[Pixels]) -> Iterable[float]:
        for start in range(0, len(images), size):
            yield from compare(images[start : start + size], others[start : start + size])

    return whole


def _means(owner: Sequence[int], values: Iterable[float], num_cases: int) -> Scores:
    """Return the mean of each case's values; None for a case without any."""
    by_case: list[list[float]] = [[] for _ in range(num_cases)]
    for row, value in zip(owner, values, strict=True):
        by_case[row].append(float(value))
    return [float(np.mean(own)) if own else None for own in by_case]


def _to_unit(images: Sequence[Pixels]) -> "Tensor":
    return to_bytes(images).float() / 255
