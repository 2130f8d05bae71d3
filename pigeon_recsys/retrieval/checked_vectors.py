"""Vectors as an index takes them: of one width and unit length, contiguous float32.

In:  vectors from anywhere.
Out: the same, or a `SettingsError` that says what is wrong with which.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.records import Vectors

LENGTH_TOLERANCE = 1e-3  # float16 storage and transport move a unit length by less


def checked_vectors(item_ids: Sequence[str], vectors: Vectors, dim: int | None = None) -> Vectors:
    """Return vectors (N, D), one an item, of width `dim` where it is given."""
    if vectors.ndim != 2 or len(vectors) != len(item_ids) or vectors.shape[1] == 0:
        raise SettingsError(
            f"vectors must be ({len(item_ids)}, D), one row an item, got {vectors.shape}"
        )
    if dim is not None and vectors.shape[1] != dim:
        raise SettingsError(f"this index holds vectors of width {dim}, got {vectors.shape[1]}")
    if len(set(item_ids)) != len(item_ids):
        twice = Counter(item_ids).most_common(1)[0][0]
        raise SettingsError(f"item {twice!r} is given twice. Give every item one vector.")
    lengths = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH_TOLERANCE))  # NaN fails this too
    if len(bad):
        raise SettingsError(
            f"the vector of item {item_ids[bad[0]]!r} must have length 1, "
            f"got {lengths[bad[0]]:.4g}. Normalise vectors first."
        )
    return np.ascontiguousarray(vectors, np.float32)


def checked_query(query: Vectors, dim: int) -> Vectors:
    """Return a query (1, D) from one of width `dim`."""
    if query.shape != (dim,):
        raise SettingsError(f"a query of this index must be ({dim},), got {query.shape}")
    if not np.isfinite(query).all():
        raise SettingsError("a query must be finite, got NaN or infinity among its values")
    return np.ascontiguousarray(query[None], np.float32)
