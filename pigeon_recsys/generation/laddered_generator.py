"""Three ways to a user's picture, from the best to the fastest: fresh, few steps, redraw.

In:  generation tasks.
Out: generations, checked and signed alike whichever way they were made.

    way        writes tokens of        paints
    fresh      every ratio of a sweep  every ratio      the settings' steps
    few steps  one ratio               one picture      fewer steps
    redraw     nothing                 one picture      the settings' steps

Fresh and few steps leave their tokens in the cache, and redraw paints them with another seed.
What a few-steps picture left gives way to a fresh one's and never the other way round.
`benchmarks/ladder.py` measures what each costs and loses, and how new a redraw looks: hardly, with
the mini backbone, whose tokens say nearly all of a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pigeon_recsys.generation.pigeon_generator import PigeonGenerator, ScoredSweep
from pigeon_recsys.generation.preference_cache import (
    PreferenceCache,
    PreferenceTokens,
    shown_pictures,
    task_key,
)
from pigeon_recsys.records import Generation, GenerationTask


@dataclass(frozen=True)
class QuickSettings:
    """How a picture is made when time is short."""

    ratio: Literal["predicted"] | float = 0.5  # reference-mask ratio, the only one painted
    steps: int = 1  # DDIM steps, never more than of the full way; 0 leaves the soft picture


class LadderedPigeon:
    """Implements the `LadderedGenerator` port over a `PigeonGenerator`; threads may share one."""

    def __init__(
        self,
        fresh: PigeonGenerator,
        cache: PreferenceCache | None = None,
        quick: QuickSettings | None = None,
    ) -> None:
        quick = quick or QuickSettings()
        steps = min(quick.steps, fresh.settings.steps)
        settings = replace(fresh.settings, ratio_choice=quick.ratio, steps=steps)
        self.fresh = fresh
        self.few_steps = replace(fresh, settings=settings)
        self.cache = PreferenceCache() if cache is None else cache

    @property
    def version(self) -> str:
        """That of the full way."""
        return self.fresh.version

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, made the full way. Raises `GenerationError`."""
        return self._made(self.fresh, tasks, replaces=True)

    def quick(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, of one ratio in few steps. Raises `GenerationError`."""
        return self._made(self.few_steps, tasks, replaces=False)

    def redraw(self, task: GenerationTask) -> Generation | None:
        """Return a picture of the tokens kept for an equal task, none where none are kept.

        With the seed that the tokens were written with, it is the picture they gave before, but
        for rounding. Raises `GenerationError` for a picture that fails a check.
        """
        kept = self.kept(task)
        if kept is None:
            return None
        made = self.fresh.redraw(task, kept.written, kept.shown)
        return replace(made, provenance=replace(made.provenance, token_seed=kept.seed))

    def kept(self, task: GenerationTask) -> PreferenceTokens | None:
        """Return the tokens kept for a task, and the scores of the sweep they are from."""
        return self.cache.get(task_key(task, self.version))

    def forget(self, user_id: str) -> int:
        """Drop all tokens kept of a user; return for how many tasks they were."""
        return self.cache.forget(user_id)

    def _made(
        self, generator: PigeonGenerator, tasks: Sequence[GenerationTask], *, replaces: bool
    ) -> list[Generation]:
        epoch = self.cache.epoch
        made = []
        for sweep in generator.sweeps(tasks):
            generation = generator.finished(sweep)
            tokens = _chosen_tokens(sweep, generation.provenance.reference_mask_ratio)
            key = task_key(sweep.task, self.version)
            self.cache.put(key, tokens, epoch=epoch, replaces=replaces)
            made.append(generation)
        return made


def _chosen_tokens(sweep: ScoredSweep, ratio: float) -> PreferenceTokens:
    written = sweep.written.at(sweep.written.ratios.index(ratio))
    scores = tuple((image.reference_mask_ratio, image.score) for image in sweep.images)
    shown = sweep.embedder.vectors_of(shown_pictures(sweep.task))
    return PreferenceTokens(sweep.task.seed, written, scores, shown)
