"""FID: how far a method's pictures, as a set, are from real ones.

In:  two sets of pictures of one size, and a network's features.
Out: the Fréchet distance of the two clouds of features.

It falls with the number of pictures, so it is compared only between methods of one table; and
it has no interval, because a resampled set holds doubles, which alone move it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pigeon_recsys.evaluation.columns import ANCHORS, Column, sized, to_bytes
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.metric_library import torchmetric
from pigeon_recsys.records import Pixels

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 32  # pictures at once; bounds memory, changes nothing


@dataclass(frozen=True)
class FrechetDistance:
    """FID's distance between a method's pictures and all pictures of an anchor."""

    label: str  # of the network
    features: Callable[["Tensor"], "Tensor"]  # feature_BF of uint8 images_BCHW
    tensor_hashes: frozenset[str]

    def values(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, float]:
        """Return one distance an anchor, of at least two pictures on both sides."""
        found = {}
        for against, anchors_of in ANCHORS.items():
            real = [sized(other, pictures[0]) for case in cases for other in anchors_of(case)]
            if min(len(real), len(pictures)) > 1:
                column = Column("FID", against, self.label, "lower")
                found[column] = self.distance(real, pictures)
        return found

    def distance(self, real: Sequence[Pixels], made: Sequence[Pixels]) -> float:
        """Return the Fréchet distance of two sets of pictures of one size."""
        import torch

        features = self.features

        class Features(torch.nn.Module):
            """What torchmetrics asks for: a module from pictures to features."""

            def forward(self, images_BCHW: "Tensor") -> "Tensor":
                return features(images_BCHW)

        with torch.inference_mode():
            metric = torchmetric("image.fid", "FrechetInceptionDistance")(feature=Features())
            for pictures, is_real in ((real, True), (made, False)):
                for start in range(0, len(pictures), BATCH):
                    metric.update(to_bytes(pictures[start : start + BATCH]), real=is_real)
            return max(0.0, float(metric.compute()))  # rounding may leave it just below
