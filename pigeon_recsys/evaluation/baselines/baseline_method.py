"""A baseline as one row of the comparison.

In:  cases.
Out: one picture a case, painted and chosen as Pigeon's are: the same backbone, as many
     pictures, the same noise, steps and sampling, and the same selection scorer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pigeon_recsys.datasets.pixel_table import resize
from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.generation.pigeon_generator import GeneratorSettings
from pigeon_recsys.generation.ratio_choice import best_first, score_sweep
from pigeon_recsys.ports import ImageEmbedder, ItemCatalog
from pigeon_recsys.progress import track
from pigeon_recsys.records import GenerationTask, Pixels

if TYPE_CHECKING:
    from pigeon_recsys.alignment.baselines.prompted import Baseline, BaselineRequest
    from pigeon_recsys.backbones.base import Backbone


@dataclass(frozen=True)
class Studio:
    """What every baseline paints with. The ratios only number the pictures of a case."""

    backbone: "Backbone"
    catalog: ItemCatalog  # tells the words of the history's pictures
    embedder: ImageEmbedder  # the selection scorer's
    settings: GeneratorSettings = field(default_factory=GeneratorSettings)

    def paint(self, baseline: "Baseline", task: GenerationTask) -> Pixels:
        """Return the picture that the selection scorer likes best."""
        from pigeon_recsys.backbones.pixel_range import to_pixels
        from pigeon_recsys.model.inference import picture_generator

        settings, ratios = self.settings, self.settings.ratios
        generators = [picture_generator(task.seed, ratio) for ratio in ratios]
        visual_XT = baseline.write(self.request(task), settings.sampling, generators)
        painted = self.backbone.detokenize(visual_XT, settings.steps, generators)
        pictures = list(to_pixels(painted))
        history = [image.pixels for image in task.history]
        scored = score_sweep(self.embedder, pictures, ratios, history, task.reference_pixels)
        return best_first(scored)[0].pixels

    def request(self, task: GenerationTask) -> "BaselineRequest":
        """Return what a baseline may see of a task: pictures and words, no reference picture."""
        import torch

        from pigeon_recsys.alignment.baselines.prompted import BaselineRequest
        from pigeon_recsys.backbones.pixel_range import to_model_range
        from pigeon_recsys.model.pigeon import HISTORY_LENGTH

        spec, newest = self.backbone.spec, task.history[-HISTORY_LENGTH:]
        history_HT = torch.zeros(0, spec.tokens_per_image, dtype=torch.long)
        if newest:
            size = (spec.image_height, spec.image_width)
            pixels = np.stack([resize(image.pixels, *size) for image in newest])
            history_HT = self.backbone.tokenize_images(to_model_range(pixels))
        captions = tuple(self.catalog.item(image.item_id).instruction for image in newest)
        return BaselineRequest(history_HT, captions, task.reference.text, task.seed)


@dataclass(frozen=True)
class BaselineMethod:
    """A baseline that answers the cases' own tasks."""

    name: str
    baseline: "Baseline"
    studio: Studio
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return one picture a case."""
        return [
            self.studio.paint(self.baseline, case.task)
            for case in track(cases, self.name, total=len(cases))
        ]
