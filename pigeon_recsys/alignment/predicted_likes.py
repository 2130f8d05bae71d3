"""Likes that users would add: of each content the picture that their taste prefers.

In:  typical likes, the taste half of the items' embeddings, which items show the same.
Out: windows that mix a user's typical likes with predicted ones.

Likes crowd on what is popular, and a language model that only ever draws that learns it by heart.
A catalog with several pictures of one content can be asked for any of them: the embedder tells
which of a content's pictures a user would choose, so all of the catalog teaches how a taste is
drawn. Only pictures that come as close to the taste as the user's own typical likes do count: where
none does, the user's way of drawing that content is not in the catalog.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.alignment.examples import EMPTY
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.records import Vectors

WINDOWS_PER_USER = 40  # some 200 predicted likes, each met a few times in a training


def predicted_rows(
    typical: Sequence[int], taste_ND: Vectors, same: SameContent
) -> NDArray[np.int64]:
    """Return the items that a user with these typical likes would like too, in item order."""
    known = list(typical)
    score_N = taste_ND @ taste_ND[known].mean(axis=0)
    is_preferred_N = (score_N[:, None] >= score_N[same.others_NK]).all(axis=1)
    is_close_N = score_N >= score_N[known].min()
    is_preferred_N[known] = False
    rows: NDArray[np.int64] = np.flatnonzero(is_preferred_N & is_close_N)
    return rows


def predicted_windows(
    likes: Iterable[Sequence[int]], taste_ND: Vectors, same: SameContent, length: int, seed: int
) -> NDArray[np.int64]:
    """Return windows (num_windows, length): half typical likes in order, half predicted ones.

    A user with fewer typical likes than half a window leaves places `EMPTY`; one of whose taste
    the catalog has not half a window more is left out.
    """
    rng = np.random.default_rng(seed)
    num_predicted = length // 2
    windows = []
    for typical in likes:
        predicted = predicted_rows(typical, taste_ND, same)
        if len(predicted) < num_predicted:
            continue
        count = min(len(typical), length - num_predicted)
        empty = [EMPTY] * (length - num_predicted - count)
        for _ in range(WINDOWS_PER_USER):
            places = np.sort(rng.choice(len(typical), count, replace=False))
            added = rng.choice(predicted, num_predicted, replace=False)
            windows.append([*empty, *np.take(typical, places), *added])
    return np.asarray(windows, dtype=np.int64).reshape(-1, length)
