"""A control: copy the asked concept's picture from the style nearest to the user's.

In:  a catalog of concepts and styles as training saw it, and what it knows of its users.
Out: pictures that exist, told which style the user wants; only the picture itself is missing.

Two styles are as near as their pictures of the same concept are alike, pixel by pixel. Where a
style has a near twin the copy is hard to beat, so compare methods with it style by style.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.evaluation.near_copies import thumbnails
from pigeon_recsys.evaluation.truth import CatalogTruth
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels


@dataclass(frozen=True)
class CopyFromNearestStyle:
    """The concept's picture in the nearest style that is not the user's own."""

    truth: CatalogTruth
    catalog: DatasetFolder  # without what training withheld
    name: str = "copy from the nearest other style"
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return one picture a case; None where no other style shows the concept."""
        return [self._picture(case) for case in cases]

    def _picture(self, case: Case) -> Pixels | None:
        wanted = self.truth.main_styles[case.user_id]
        item_id = case.task.reference.item_id
        assert item_id is not None, "cases with a truth are drawn from catalog references"
        shown = self._shown[self.truth.content(item_id)]
        others = sorted(style for style in shown if style != wanted)
        if not others:
            return None
        nearest = min(others, key=lambda style: self.distances.get((wanted, style), np.inf))
        return self.catalog.pixels(shown[nearest])

    @cached_property
    def distances(self) -> dict[tuple[str, str], float]:
        """Return the mean absolute difference, of 255, of every two styles with a concept shared.

        Every concept that both styles show counts once.
        """
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for shown in track(self._shown.values(), "compare styles", total=len(self._shown)):
            small = thumbnails([self.catalog.pixels(item_id) for item_id in shown.values()])
            for (style, one), (other, two) in combinations(zip(shown, small, strict=True), 2):
                difference = float(np.abs(one - two).mean())
                found[style, other].append(difference)
                found[other, style].append(difference)
        return {pair: float(np.mean(values)) for pair, values in found.items()}

    @cached_property
    def _shown(self) -> Mapping[str, dict[str, str]]:
        """Return the item of every style by concept, of the pictures that are not withheld."""
        shown: dict[str, dict[str, str]] = defaultdict(dict)
        for (concept, style), item_id in self.truth.item_of.items():
            if item_id in self.catalog.rows:
                shown[concept][style] = item_id
        return shown
