"""The image generator of the slot: sweep, choose, check, sign.

In:  generation tasks.
Out: generations, each with its sweep, masks and provenance.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.generation.checks import check_not_blank, check_not_copy
from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS, best_first, score_sweep
from pigeon_recsys.ports import ImageEmbedder, ItemIndex
from pigeon_recsys.records import (
    Generation,
    GenerationTask,
    Pixels,
    Provenance,
    SweepImage,
    TokenMask,
)

if TYPE_CHECKING:
    from pigeon_recsys.model.inference import PigeonModel

MODEL_NAME = "pigeon-mini"


@dataclass(frozen=True)
class GeneratorSettings:
    """How images are made. More ratios and steps take longer."""

    ratios: tuple[float, ...] = REFERENCE_RATIOS
    steps: int = 4  # DDIM steps
    temperature: float = 0.5  # of preference tokens; 0 always takes the most probable
    top_k: int = 50


@dataclass(frozen=True)
class PigeonGenerator:
    """Implements the `ImageGenerator` port with a loaded Pigeon."""

    model: "PigeonModel"
    embedder: ImageEmbedder  # the selection scorer's
    index: ItemIndex  # of the catalog, for the near-copy check
    settings: GeneratorSettings = field(default_factory=GeneratorSettings)
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, in order. Raises `GenerationError`."""
        return [self._generate_one(task) for task in tasks]

    def _generate_one(self, task: GenerationTask) -> Generation:
        from pigeon_recsys.model.decode import Sampling

        history = [image.pixels for image in task.history]
        painted = self.model.paint_sweep(
            history,
            task.reference_pixels,
            task.reference.text,
            self.settings.ratios,
            seed=task.seed,
            sampling=Sampling(self.settings.temperature, self.settings.top_k),
            steps=self.settings.steps,
        )
        sweep = score_sweep(
            self.embedder, painted.pictures, self.settings.ratios, history, task.reference_pixels
        )
        chosen, checks = self._first_sound(sweep)
        masks = tuple(
            TokenMask(image.item_id, keep.shape[0], keep.shape[1], tuple(keep.ravel().tolist()))
            for image, keep in zip(task.history, painted.history_keep, strict=True)
        )
        provenance = self._provenance(task, chosen, checks)
        item_id = f"gen-{provenance.content_hash[:16]}"
        return Generation(item_id, chosen.pixels, sweep, masks, provenance)

    def _first_sound(self, sweep: Sequence[SweepImage]) -> tuple[SweepImage, tuple[str, ...]]:
        """Return the best picture that passes every check; the last failure when none does."""
        failure = GenerationError("the sweep made no picture")
        for image in best_first(sweep):
            try:
                return image, self._check(image.pixels)
            except GenerationError as exc:
                failure = exc
        raise failure

    def _check(self, pixels: Pixels) -> tuple[str, ...]:
        vector = self.embedder.embed([pixels])[0]
        return check_not_blank(pixels), check_not_copy(vector, self.index)

    def _provenance(
        self, task: GenerationTask, chosen: SweepImage, checks: tuple[str, ...]
    ) -> Provenance:
        return Provenance(
            content_hash=content_hash(chosen.pixels),
            model=MODEL_NAME,
            weights_version=self.model.version,
            user_id=task.user_id,
            history_hash=task.history_hash,
            history_item_ids=tuple(image.item_id for image in task.history),
            reference=task.reference,
            reference_mask_ratio=chosen.reference_mask_ratio,
            seed=task.seed,
            steps=self.settings.steps,
            history_score=chosen.history_score,
            reference_score=chosen.reference_score,
            checks_passed=checks,
            created_ms=self.clock_ms(),
        )


def content_hash(pixels: Pixels) -> str:
    """Return the sha256 of a picture's shape and bytes, 64 hex digits."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
