"""Is the content asked for there, and the user's style? Where the truth is planted.

In:  a truth, cases and pictures.
Out: right or wrong a case, as columns beside the paper's metrics.

A sticker world is read by the factor judge. In a catalog of concepts and styles, the style is
that of the nearest real picture of the asked concept, and the concept is among those of the
five nearest pictures, by an evaluating network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pigeon_recsys.datasets.sticker_drawing import CONTENT_FACTORS, STYLE_FACTORS
from pigeon_recsys.evaluation.columns import Column, Scores
from pigeon_recsys.evaluation.factor_judge import FactorJudge
from pigeon_recsys.evaluation.feature_networks import ImageNetwork
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.personalization import match
from pigeon_recsys.evaluation.truth import CatalogTruth, DrawnTruth
from pigeon_recsys.records import Pixels, Vectors

JUDGE = "sticker judge"
NEAREST_CONCEPTS = 5
ONE_STYLE = {"fluentcolor": "fluent3d"}  # drawn alike; the second shades what the first lights


@dataclass(frozen=True)
class JudgedFactors:
    """What the factor judge reads in pictures of a sticker world."""

    truth: DrawnTruth
    judge: FactorJudge = field(default_factory=FactorJudge.load)

    def scores(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, Scores]:
        """Return whether all content is right, the share of right style factors, and all."""
        seen = self.judge.factors(pictures)
        asked = [self.truth.world.item(_reference(case)).attributes for case in cases]
        styles = [self.truth.main_styles[case.user_id] for case in cases]
        content = [
            match(mine, {factor: str(want[factor]) for factor in CONTENT_FACTORS}, CONTENT_FACTORS)
            for mine, want in zip(seen, asked, strict=True)
        ]
        style = [match(mine, want, STYLE_FACTORS) for mine, want in zip(seen, styles, strict=True)]
        return {
            _column("content right"): [each["all"] for each in content],
            _column("style right, mean of factors"): [each["mean"] for each in style],
            _column("style right, all factors"): [each["all"] for each in style],
        }


@dataclass(frozen=True)
class NearestRealPictures:
    """What the nearest real pictures of a catalog of concepts and styles say."""

    truth: CatalogTruth
    network: ImageNetwork
    one_style: Mapping[str, str] = field(default_factory=lambda: dict(ONE_STYLE))

    def scores(self, cases: Sequence[Case], pictures: Sequence[Pixels]) -> dict[Column, Scores]:
        """Return whether style and concept are right."""
        made = self.network.image_vectors(pictures)
        pairs = list(zip(cases, made, strict=True))
        return {
            _column("style right given the concept", self.network.label): [
                self._has_style(case, vector) for case, vector in pairs
            ],
            _column(f"concept in the nearest {NEAREST_CONCEPTS}", self.network.label): [
                self._has_concept(case, vector) for case, vector in pairs
            ],
        }

    def _has_style(self, case: Case, vector: Vectors) -> float:
        concept = self._concept(case)
        rows = [row for row, key in enumerate(self.truth.item_of) if key[0] == concept]
        nearest = rows[int(np.argmax(self._vectors[rows] @ vector))]
        wanted = self.truth.main_styles[case.user_id]
        return float(self._style(self._keys[nearest][1]) == self._style(wanted))

    def _has_concept(self, case: Case, vector: Vectors) -> float:
        similarity = self._vectors @ vector
        best: dict[str, float] = {}
        for row in np.argsort(-similarity, kind="stable"):
            best.setdefault(self._keys[row][0], float(similarity[row]))
            if len(best) == NEAREST_CONCEPTS:
                break
        return float(self._concept(case) in best)

    def _concept(self, case: Case) -> str:
        return self.truth.content(_reference(case))

    def _style(self, style: str) -> str:
        return self.one_style.get(style, style)

    @cached_property
    def _keys(self) -> list[tuple[str, str]]:
        return list(self.truth.item_of)

    @cached_property
    def _vectors(self) -> Vectors:
        items = self.truth.item_of.values()
        return self.network.image_vectors([self.truth.catalog.pixels(item_id) for item_id in items])


def _column(metric: str, network: str = JUDGE) -> Column:
    return Column(metric, "", network, "higher")


def _reference(case: Case) -> str:
    item_id = case.task.reference.item_id
    assert item_id is not None, "cases with a truth are drawn from catalog references"
    return item_id
