"""Choose the history images that the generator gets to see.

In:  a user's liked items and the vector of what is wanted (or none).
Out: a few of those items, oldest first: near the reference, typical of the user, unlike each
     other.

The pool is a FAISS search for the reference restricted to the user's own items. From it items
are taken one by one (maximal marginal relevance), each time the one with the largest

      reference   · similarity to the reference
    + typicality  · mean similarity to the user's other likes
    + recency     · rank in time, 0 for the oldest like and 1 for the newest
    − redundancy  · similarity to the most similar item taken already
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from pigeon_recsys.errors import SettingsError, UnknownItem
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import Vectors

NUM_IMAGES = 5  # history images a generation; checkpoints of the generator fix this number


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """Weights of the terms, each at least 0; 0 switches a term off."""

    reference: float = 1.0  # higher: history about the same subject as the reference
    typicality: float = 2.0  # higher: stray likes are left out, and the reference counts less
    recency: float = 0.1  # higher: tastes that change are followed sooner
    redundancy: float = 0.3  # higher: fewer near copies among the images
    pool: int = 50  # likes considered: the nearest to the reference, or the newest without one

    def __post_init__(self) -> None:
        for weight in fields(self):
            value = getattr(self, weight.name)
            if not 0 <= value < float("inf"):
                raise SettingsError(
                    f"history selection: {weight.name} must be 0 or more, got {value}"
                )
        if self.pool < 1:
            raise SettingsError(f"history selection: pool must be at least 1, got {self.pool}")


def select_history(
    index: ItemIndex,
    liked: Sequence[str],
    reference_vector: Vectors | None,
    num_images: int = NUM_IMAGES,
    settings: SelectionSettings | None = None,
) -> tuple[str, ...]:
    """Return at most `num_images` of the `liked` items (given oldest first), oldest first.

    Likes that are not indexed (withdrawn items) are passed over. Without a reference its term
    is left out.
    """
    if num_images < 1:
        raise SettingsError(f"history selection: num_images must be at least 1, got {num_images}")
    settings = settings or SelectionSettings()
    known, vectors_ND = indexed_likes(index, liked)
    if len(known) <= num_images:
        return known
    relevance_N = settings.typicality * typicality(vectors_ND)
    relevance_N += settings.recency * np.linspace(0, 1, len(known))
    if reference_vector is None:
        pool = list(range(len(known)))[-settings.pool :]
    else:
        found = index.search(reference_vector, settings.pool, within=known)
        place = {item_id: row for row, item_id in enumerate(known)}
        pool = [place[item.item_id] for item in found]
        relevance_N[pool] += settings.reference * np.array([item.score for item in found])
    taken = _marginal_relevance(relevance_N, vectors_ND, pool, num_images, settings.redundancy)
    return tuple(known[row] for row in sorted(taken))


def typicality(vectors_ND: Vectors) -> Vectors:
    """Return each vector's mean inner product with the other ones, (N,); 0 for a lone one."""
    count = len(vectors_ND)
    with_own_N = vectors_ND @ vectors_ND.sum(axis=0)
    own_N = (vectors_ND * vectors_ND).sum(axis=1)
    mean_N: Vectors = (with_own_N - own_N) / max(1, count - 1)
    return mean_N


def indexed_likes(index: ItemIndex, liked: Sequence[str]) -> tuple[tuple[str, ...], Vectors]:
    """Return the liked items that the index holds, each once at its newest like, and their vectors.

    Items that were taken down since are among the likes and not in the index.
    """
    newest = tuple(reversed(dict.fromkeys(reversed(liked))))
    try:
        return newest, index.vectors(newest)
    except UnknownItem:
        known = tuple(item_id for item_id in newest if _is_indexed(index, item_id))
        return known, index.vectors(known)


def _is_indexed(index: ItemIndex, item_id: str) -> bool:
    try:
        index.vectors([item_id])
    except UnknownItem:
        return False
    return True


def _marginal_relevance(
    relevance_N: Vectors, vectors_ND: Vectors, pool: list[int], num_images: int, redundancy: float
) -> list[int]:
    """Return the rows taken, in the order taken; equal scores go to the newer item."""
    left = sorted(pool, reverse=True)
    nearest_N = np.zeros_like(relevance_N)  # similarity to the most similar item taken
    taken: list[int] = []
    while left and len(taken) < num_images:
        best = max(left, key=lambda row: float(relevance_N[row] - redundancy * nearest_N[row]))
        similarity_N = vectors_ND @ vectors_ND[best]
        nearest_N = np.maximum(nearest_N, similarity_N) if taken else similarity_N
        taken.append(best)
        left.remove(best)
    return taken
