"""Retrieve catalog candidates for one user.

In:  the user's likes, oldest first, or the vector of what was asked for.
Out: scored catalog items the user has not liked yet; popular ones for a user without likes.

An index may also hold generated items, each made for one user, and items that left the catalog.
Neither is anybody's candidate.
"""

from collections.abc import Collection, Sequence

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.ports import ItemCatalog, ItemIndex
from pigeon_recsys.records import ScoredItem, Vectors
from pigeon_recsys.retrieval.history_selection import indexed_likes

RECENT_LIKES = 20  # newest likes that make the query: enough to outvote a stray one
WIDER = 4  # times as many are asked for where too few are left: a handful of searches at worst


def retrieve_candidates(
    index: ItemIndex,
    catalog: ItemCatalog,
    liked: Sequence[str],
    num_candidates: int,
    exclude: Collection[str] = (),
    asked: Vectors | None = None,
) -> list[ScoredItem]:
    """Return at most `num_candidates` catalog items, best first, none liked or excluded.

    Fewer only where the catalog, or what the index finds of it, has no more.

    Scores are similarities to `asked`, the vector (D,) of a reference, where there is one, else
    to the mean of the newest likes. Without both, they are the catalog's popularity.
    """
    if num_candidates < 1:
        raise SettingsError(f"num_candidates must be at least 1, got {num_candidates}")
    unwanted = {*liked, *exclude}
    query = taste_query(index, liked) if asked is None else asked
    wide = num_candidates + len(unwanted)  # so that enough are left after the unwanted ones
    while True:
        found = catalog.popular(wide) if query is None else index.search(query, wide)
        is_own = catalog.has([item.item_id for item in found])
        left = [
            item
            for item, own in zip(found, is_own, strict=True)
            if own and item.item_id not in unwanted
        ]
        if len(left) >= num_candidates or len(found) < wide:
            return left[:num_candidates]
        wide *= WIDER


def taste_query(index: ItemIndex, liked: Sequence[str]) -> Vectors | None:
    """Return the mean direction of the newest indexed likes, None without any."""
    _, vectors_ND = indexed_likes(index, liked)
    return taste_of(vectors_ND)


def taste_of(vectors_ND: Vectors) -> Vectors | None:
    """Return the mean direction (D,) of the newest likes' vectors, None without any."""
    newest_ND = vectors_ND[-RECENT_LIKES:]
    mean_D = newest_ND.mean(axis=0) if len(newest_ND) else None
    length = 0.0 if mean_D is None else float(np.linalg.norm(mean_D))
    if mean_D is None or length == 0:
        return None
    direction: Vectors = (mean_D / length).astype(np.float32)
    return direction
