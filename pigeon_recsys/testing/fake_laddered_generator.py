"""A laddered generator without weights, for tests of whatever goes down the ladder.

In:  generation tasks.
Out: the fake generator's pictures: of one step where quick, of another seed where redrawn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pigeon_recsys.records import Generation, GenerationTask
from pigeon_recsys.testing.fakes import FakeGenerator

QUICK_STEPS = 0  # the fake's full way says 1


class FakeLadderedGenerator(FakeGenerator):
    """Keeps the seed of each task; it must not be shared between threads."""

    def __init__(self, side: int = 16, fails_for: Iterable[str] = ()) -> None:
        super().__init__(side, fails_for)
        self._seeds: dict[tuple[object, ...], int] = {}

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, in order."""
        made = super().generate(tasks)
        self._seeds |= {_key(task): task.seed for task in tasks}
        return made

    def quick(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task, in order, of fewer steps."""
        made = [_with_steps(each, QUICK_STEPS) for each in super().generate(tasks)]
        for task in tasks:
            self._seeds.setdefault(_key(task), task.seed)
        return made

    def redraw(self, task: GenerationTask) -> Generation | None:
        """Return another picture for an equal task made before, or none."""
        seed = self._seeds.get(_key(task))
        if seed is None:
            return None
        (made,) = super().generate([task])
        return replace(made, provenance=replace(made.provenance, token_seed=seed))

    def forget(self, user_id: str) -> int:
        """Forget a user's tasks; return how many they were."""
        keys = [key for key in self._seeds if key[0] == user_id]
        for key in keys:
            del self._seeds[key]
        return len(keys)


def _key(task: GenerationTask) -> tuple[object, ...]:
    shown = tuple(image.item_id for image in task.history)
    return task.user_id, task.history_hash, task.reference, shown


def _with_steps(made: Generation, steps: int) -> Generation:
    return replace(made, provenance=replace(made.provenance, steps=steps))
