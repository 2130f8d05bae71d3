"""What is compared: requests, and the methods that answer them.

In:  cases, each one user's request with all that a method may see.
Out: a picture a case from every method; a method is one row of the table.

A baseline joins the table by implementing `Method`. It may read everything in a case but
`target`, which only the ground-truth control shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.ports import ImageGenerator
from pigeon_recsys.progress import track
from pigeon_recsys.records import GenerationTask, Pixels

BATCH = 16  # tasks a generator is asked for at once: it writes the tokens of several together


@dataclass(frozen=True)
class Case:
    """One user's request."""

    task: GenerationTask
    swapped: GenerationTask  # the same reference and seed, another user's history
    target: Pixels | None = None  # what the user would want to see, where that is known

    @property
    def user_id(self) -> str:
        """Whose request it is."""
        return self.task.user_id


@runtime_checkable
class Method(Protocol):
    """One way to answer requests with pictures."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def selection_weights(self) -> tuple[Path, ...]:
        """The weights of every network that chose among pictures; none of them may evaluate."""

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return one picture a case, in order; None where the method has no answer."""


@dataclass(frozen=True)
class Generated:
    """A generator asked with tasks made from the cases."""

    name: str
    generator: ImageGenerator
    tasks_of: Callable[[Sequence[Case]], list[GenerationTask]]
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return the generated pictures; a task that cannot be done has none and is counted so."""
        tasks = self.tasks_of(cases)
        made: list[Pixels | None] = []
        for start in track(range(0, len(tasks), BATCH), self.name):
            made += self._made(tasks[start : start + BATCH])
        return made

    def _made(self, tasks: Sequence[GenerationTask]) -> list[Pixels | None]:
        """Ask for all tasks together, and for each by itself where one of them fails."""
        try:
            return [generation.pixels for generation in self.generator.generate(tasks)]
        except GenerationError:
            if len(tasks) == 1:
                return [None]
            return [picture for task in tasks for picture in self._made([task])]
