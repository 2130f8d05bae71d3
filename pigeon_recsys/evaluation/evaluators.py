"""The networks of one evaluation, and the measures they give.

In:  which pretrained networks to load, and the stand-in that takes the place of the others.
Out: measures for the table; the hashes by which a selecting network is recognised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pigeon_recsys.evaluation.columns import Measure
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.evaluation.feature_networks import (
    ClipNetwork,
    DinoNetwork,
    ImageNetwork,
    ImageTextNetwork,
)
from pigeon_recsys.evaluation.frechet_distance import FrechetDistance
from pigeon_recsys.evaluation.image_metrics import (
    TextScore,
    cosine_measure,
    perceptual_measure,
    structural_measures,
)
from pigeon_recsys.evaluation.methods import Method
from pigeon_recsys.evaluation.network_identity import check_apart, file_tensor_hashes, tensor_hashes
from pigeon_recsys.evaluation.perceptual_distance import (
    PerceptualDistance,
    load_lpips,
    stand_in_distance,
)
from pigeon_recsys.evaluation.stand_in import LABEL, StandIn, StandInCaptions, StandInViews


@dataclass(frozen=True)
class EvaluatorFiles:
    """Where the networks are; a hub id or a folder for the first two, files for the others."""

    clip: str | None = None
    dino: str | None = None
    inception: Path | None = None
    lpips: Path | None = None
    stand_in: Path | None = None

    def check_apart_from(self, selection_weights: Sequence[Path]) -> None:
        """Raise `SettingsError` where the stand-in named is what selects, whatever its shape."""
        if self.stand_in is None or not self.stand_in.is_file():
            return
        selectors = {path.name: file_tensor_hashes(path) for path in selection_weights}
        check_apart({self.stand_in.name: file_tensor_hashes(self.stand_in)}, selectors)


@dataclass(frozen=True)
class Evaluators:
    """The loaded networks; a missing one takes its columns with it."""

    image_text: ImageTextNetwork | None = None
    image: ImageNetwork | None = None
    perceptual: PerceptualDistance | None = None
    frechet: FrechetDistance | None = None
    judge: FactorJudge | None = None

    @classmethod
    def load(cls, files: EvaluatorFiles, *, with_judge: bool = False) -> "Evaluators":
        """Read every network named, and the stand-in for the others. Raises `ArtifactError`.

        The judge reads stickers alone.
        """
        stand_in = None if files.stand_in is None else StandIn.load(files.stand_in)
        return cls(
            image_text=_image_text(files, stand_in),
            image=_image(files, stand_in),
            perceptual=_perceptual(files, stand_in),
            frechet=_frechet(files, stand_in),
            judge=FactorJudge.load() if with_judge else None,
        )

    def measures(self, height: int, width: int) -> list[Measure]:
        """Return what compares pictures of this size with those of their own case."""
        found: list[Measure] = [*structural_measures(height, width)]
        if self.perceptual:
            found.append(perceptual_measure(self.perceptual))
        if self.image_text:
            found += [cosine_measure("CIS", self.image_text), TextScore(self.image_text)]
        if self.image:
            found.append(cosine_measure("DIS", self.image))
        return found

    def hashes(self) -> dict[str, frozenset[str]]:
        """Return the tensor hashes of every network by its label."""
        found: dict[str, frozenset[str]] = {}
        for network in (self.image_text, self.image, self.perceptual, self.frechet, self.judge):
            if network is not None:
                found[network.label] = network.tensor_hashes
        return found

    def check_apart_from(self, methods: Sequence[Method]) -> dict[str, frozenset[str]]:
        """Return the hashes of what the methods select with; raise if any of it evaluates."""
        paths = {path for method in methods for path in method.selection_weights}
        selectors = {path.name: file_tensor_hashes(path) for path in sorted(paths)}
        check_apart(self.hashes(), selectors)
        return selectors


def _image_text(files: EvaluatorFiles, stand_in: StandIn | None) -> ImageTextNetwork | None:
    if files.clip is not None:
        return ClipNetwork.load(files.clip)
    return None if stand_in is None else StandInCaptions(stand_in)


def _image(files: EvaluatorFiles, stand_in: StandIn | None) -> ImageNetwork | None:
    if files.dino is not None:
        return DinoNetwork.load(files.dino)
    return None if stand_in is None else StandInViews(stand_in)


def _perceptual(files: EvaluatorFiles, stand_in: StandIn | None) -> PerceptualDistance | None:
    if files.lpips is not None:
        return load_lpips(files.lpips)
    return None if stand_in is None else stand_in_distance(stand_in)


def _frechet(files: EvaluatorFiles, stand_in: StandIn | None) -> FrechetDistance | None:
    if files.inception is not None:
        from pigeon_recsys.evaluation.inception_network import InceptionFeatures

        network = InceptionFeatures.load(files.inception)
        return FrechetDistance("Inception", network, tensor_hashes(network.state_dict()))
    if stand_in is None:
        return None
    return FrechetDistance(LABEL, stand_in.features, stand_in.tensor_hashes)
