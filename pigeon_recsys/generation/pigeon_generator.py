"""The image generator of the slot: sweep, choose, check, sign.

In:  generation tasks.
Out: generations, each with its sweep, masks and provenance.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from pigeon_recsys.errors import GenerationError, SettingsError
from pigeon_recsys.generation.checks import check_not_blank, check_not_copy
from pigeon_recsys.generation.embedded_once import EmbeddedOnce, embedded_once
from pigeon_recsys.generation.ratio_choice import REFERENCE_RATIOS, best_first, score_sweep
from pigeon_recsys.generation.ratio_predictor import REBUILD, RatioPredictor, ratio_features
from pigeon_recsys.model.sampling import Sampling
from pigeon_recsys.ports import ImageEmbedder, ItemIndex
from pigeon_recsys.records import (
    Generation,
    GenerationTask,
    Pixels,
    Provenance,
    SweepImage,
    TokenMask,
    Vectors,
    content_hash,
    generated_item_id,
)

if TYPE_CHECKING:
    from pigeon_recsys.model.inference import PigeonModel, WrittenSweep

MODEL_NAME = "pigeon-mini"


RatioChoice = Literal["sweep", "predicted"] | float


@dataclass(frozen=True)
class GeneratorSettings:
    """How images are made. More ratios, beams and steps take longer."""

    ratio_choice: RatioChoice = "sweep"  # the best of `ratios`, the one foretold, or this one
    ratios: tuple[float, ...] = REFERENCE_RATIOS  # of a sweep
    steps: int = 4  # DDIM steps; 0 leaves the soft picture of the tokens
    sampling: Sampling = field(default_factory=Sampling)  # of preference tokens
    batch_size: int = 8  # tasks whose tokens are written together; memory grows with it

    def __post_init__(self) -> None:
        if isinstance(self.ratio_choice, str) and self.ratio_choice not in ("sweep", "predicted"):
            raise SettingsError(
                f"ratio_choice must be 'sweep', 'predicted' or a number, got {self.ratio_choice!r}"
            )
        fixed = () if isinstance(self.ratio_choice, str) else (self.ratio_choice,)
        for ratio in (*self.ratios, *fixed):
            if not 0 <= ratio <= 1:
                raise SettingsError(f"a reference-mask ratio must be from 0 to 1, got {ratio}")
        if not self.ratios:
            raise SettingsError("a sweep needs at least one reference-mask ratio, got none")
        for name, least in (("steps", 0), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise SettingsError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True)
class ScoredSweep:
    """The pictures made for one task, with the selection scorer's verdicts."""

    task: GenerationTask
    images: tuple[SweepImage, ...]
    written: "WrittenSweep"  # what the pictures were painted from
    embedder: EmbeddedOnce  # that has seen them, the history and the reference


@dataclass(frozen=True)
class PigeonGenerator:
    """Implements the `ImageGenerator` port with a loaded Pigeon."""

    model: "PigeonModel"
    embedder: ImageEmbedder  # the selection scorer's
    index: ItemIndex  # of the catalog, for the near-copy check
    settings: GeneratorSettings = field(default_factory=GeneratorSettings)
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    predictor: RatioPredictor | None = None  # needed where the ratio is "predicted"

    def __post_init__(self) -> None:
        if self.settings.ratio_choice == "predicted" and self.predictor is None:
            raise SettingsError(
                "a predicted reference-mask ratio needs a ratio predictor, got none. "
                f"Train one with: {REBUILD}"
            )

    @property
    def version(self) -> str:
        """The weights, and all settings that pixels depend on."""
        settings = repr(replace(self.settings, batch_size=1))
        return f"{self.model.version}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, in order. Raises `GenerationError`."""
        return [self.finished(sweep) for sweep in self.sweeps(tasks)]

    def sweeps(self, tasks: Sequence[GenerationTask]) -> Iterator[ScoredSweep]:
        """Yield the sweep of each task, made a batch at a time."""
        size = self.settings.batch_size
        for start in range(0, len(tasks), size):
            yield from self.sweep(tasks[start : start + size])

    def sweep(self, tasks: Sequence[GenerationTask]) -> list[ScoredSweep]:
        """Paint and score the pictures of all tasks in one pass; nothing is chosen yet."""
        from pigeon_recsys.model.inference import SweepOrder

        orders = [
            SweepOrder(
                history=[image.pixels for image in task.history],
                reference=task.reference_pixels,
                text=task.reference.text,
                ratios=ratios,
                seed=task.seed,
            )
            for task, ratios in zip(tasks, self._ratios(tasks), strict=True)
        ]
        written = self.model.write_tokens(orders, sampling=self.settings.sampling)
        return [self._painted(task, sweep) for task, sweep in zip(tasks, written, strict=True)]

    def redraw(
        self, task: GenerationTask, written: "WrittenSweep", known: Mapping[str, Vectors]
    ) -> Generation:
        """Paint tokens that were written for an equal task with another seed.

        `known` are vectors of the task's pictures by content hash. Raises `GenerationError` for
        a picture that fails a check.
        """
        return self.finished(self._painted(task, written, known))

    def _painted(
        self,
        task: GenerationTask,
        written: "WrittenSweep",
        known: Mapping[str, Vectors] | None = None,
    ) -> ScoredSweep:
        """Paint and score one task's pictures."""
        pictures = self.model.paint(written, seed=task.seed, steps=self.settings.steps)
        history = [image.pixels for image in task.history]
        embedder = embedded_once(self.embedder, known)
        images = score_sweep(embedder, pictures, written.ratios, history, task.reference_pixels)
        return ScoredSweep(task, images, written, embedder)

    def _ratios(self, tasks: Sequence[GenerationTask]) -> list[tuple[float, ...]]:
        """Return the ratios to paint for each task."""
        choice = self.settings.ratio_choice
        if choice == "sweep":
            return [self.settings.ratios] * len(tasks)
        if choice != "predicted":
            return [(float(choice),)] * len(tasks)
        assert self.predictor is not None
        features = [
            ratio_features(
                self.embedder, [image.pixels for image in task.history], task.reference_pixels
            )
            for task in tasks
        ]
        return [(ratio,) for ratio in self.predictor.best_ratios(np.stack(features))]

    def finished(self, sweep: ScoredSweep) -> Generation:
        """Choose, check and sign. Raises `GenerationError` where no picture is sound."""
        chosen, checks = self._first_sound(sweep)
        masks = tuple(
            TokenMask(image.item_id, keep.shape[0], keep.shape[1], tuple(keep.ravel().tolist()))
            for image, keep in zip(sweep.task.history, sweep.written.history_keep, strict=True)
        )
        provenance = self._provenance(sweep.task, chosen, checks)
        item_id = generated_item_id(provenance.content_hash)
        return Generation(item_id, chosen.pixels, sweep.images, masks, provenance)

    def _first_sound(self, sweep: ScoredSweep) -> tuple[SweepImage, tuple[str, ...]]:
        """Return the best picture that passes every check; the last failure when none does."""
        failure = GenerationError("the sweep made no picture")
        for image in best_first(sweep.images):
            try:
                return image, self._check(image.pixels, sweep.embedder)
            except GenerationError as exc:
                failure = exc
        raise failure

    def _check(self, pixels: Pixels, embedder: ImageEmbedder) -> tuple[str, ...]:
        vector = embedder.embed([pixels])[0]
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
