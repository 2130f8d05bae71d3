"""Controls: what every claim of personalization must be held against.

In:  cases; for those that look pictures up, the index and the catalog.
Out: tasks for the generator, or methods that need none.

No history and swapped users tell whether the history matters, shuffled references whether the
reference does; without its picture or its words a request says what each of them adds. The copies
tell what a metric pays for no generation at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pigeon_recsys.evaluation.methods import Case
from pigeon_recsys.ports import ItemCatalog, ItemIndex
from pigeon_recsys.records import GenerationTask, Pixels, Reference, Vectors


def own_tasks(cases: Sequence[Case]) -> list[GenerationTask]:
    """Return the cases' own tasks."""
    return [case.task for case in cases]


def tasks_without_history(cases: Sequence[Case]) -> list[GenerationTask]:
    """Return the tasks with nobody's history."""
    return [replace(case.task, history=(), history_hash="") for case in cases]


def tasks_without_reference_image(cases: Sequence[Case]) -> list[GenerationTask]:
    """Return the tasks with the reference's words alone; the selection scorer has none either."""
    return [replace(case.task, reference_pixels=None) for case in cases]


def tasks_without_text(cases: Sequence[Case]) -> list[GenerationTask]:
    """Return the tasks without words; one that only words ask for stays as it is."""
    return [
        case.task
        if case.task.reference.item_id is None
        else replace(case.task, reference=Reference(case.task.reference.item_id))
        for case in cases
    ]


def swapped_tasks(cases: Sequence[Case]) -> list[GenerationTask]:
    """Return the tasks with another user's history."""
    return [case.swapped for case in cases]


def tasks_with_shuffled_references(cases: Sequence[Case]) -> list[GenerationTask]:
    """Return the tasks with the next case's reference; the last takes the first one's."""
    following = [*cases[1:], *cases[:1]]
    return [
        replace(
            case.task,
            reference=other.task.reference,
            reference_pixels=other.task.reference_pixels,
        )
        for case, other in zip(cases, following, strict=True)
    ]


@dataclass(frozen=True)
class NearestCatalogImage:
    """Retrieval: the catalog picture nearest to both history and reference, neither of them."""

    index: ItemIndex
    catalog: ItemCatalog
    selection_weights: tuple[Path, ...] = ()  # of the embedder behind the index
    name: str = "nearest catalog image"

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return what a search finds with half the history's mean and half the reference."""
        return [self._picture(case.task) for case in cases]

    def _picture(self, task: GenerationTask) -> Pixels | None:
        query = _query(self.index, task)
        if query is None:
            return None
        shown = {*(image.item_id for image in task.history), task.reference.item_id}
        found = self.index.search(query, len(shown) + 1)
        left = [item.item_id for item in found if item.item_id not in shown]
        return self.catalog.pixels(left[0]) if left else None


@dataclass(frozen=True)
class MostSimilarHistoryImage:
    """A copy of the history picture nearest to the reference; the newest without a reference."""

    index: ItemIndex
    selection_weights: tuple[Path, ...] = ()  # of the embedder behind the index
    name: str = "copy of the most similar history image"

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return one picture of each history; None for an empty one."""
        return [self._picture(case.task) for case in cases]

    def _picture(self, task: GenerationTask) -> Pixels | None:
        if not task.history:
            return None
        if task.reference.item_id is None:
            return task.history[-1].pixels
        reference = self.index.vectors([task.reference.item_id])[0]
        known = self.index.vectors([image.item_id for image in task.history])
        return task.history[int(np.argmax(known @ reference))].pixels


@dataclass(frozen=True)
class CopyOfReference:
    """The reference itself: as near to what was asked as can be, and no personalization."""

    name: str = "copy of the reference"
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return the reference pictures; None for a reference of words alone."""
        return [case.task.reference_pixels for case in cases]


@dataclass(frozen=True)
class GroundTruth:
    """What the user would want to see, where the data knows it."""

    name: str = "ground truth"
    selection_weights: tuple[Path, ...] = ()

    def pictures(self, cases: Sequence[Case]) -> list[Pixels | None]:
        """Return the targets."""
        return [case.target for case in cases]


def _query(index: ItemIndex, task: GenerationTask) -> Vectors | None:
    """Return half the mean of the history's vectors plus half the reference's, of unit length."""
    parts: list[Vectors] = []
    if task.history:
        vectors = index.vectors([image.item_id for image in task.history])
        parts.append(vectors.mean(axis=0) / 2)
    if task.reference.item_id is not None:
        parts.append(index.vectors([task.reference.item_id])[0] / 2)
    if not parts:
        return None
    total: Vectors = np.sum(parts, axis=0, dtype=np.float32)
    return total / max(float(np.linalg.norm(total)), 1e-12)
