"""Is a generated picture a copy of one that exists? Judged by pixels, not by any scorer.

In:  pictures of any size.
Out: the root mean square difference of their thumbnails, of 255.

A copy survives resizing and compression with a distance of 5 to 10; the same sticker of a
sticker world drawn anew differs by 18 (median of 60), one with another mood or prop by 37.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from pigeon_recsys.records import Pixels, Vectors

# N pictures, M pictures to compare with, F values of a thumbnail

SIDE = 32  # pixels of a thumbnail
NEAR_COPY_DISTANCE = 10.0  # of 255; see above


def thumbnails(pictures: Sequence[Pixels]) -> Vectors:
    """Return each picture reduced and laid out as one row (N, F)."""
    rows = [
        np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)).ravel()
        for pixels in pictures
    ]
    return np.array(rows, np.float32).reshape(len(rows), SIDE * SIDE * 3)


def nearest_distance(made_NF: Vectors, known_MF: Vectors) -> Vectors:
    """Return the distance of each thumbnail to the nearest known one, (N,); without any, ∞."""
    if not len(known_MF):
        return np.full(len(made_NF), np.inf, np.float32)
    square_NM = (known_MF**2).sum(axis=1) - 2 * made_NF @ known_MF.T  # less what N alone adds
    difference_NF = made_NF - known_MF[square_NM.argmin(axis=1)]
    nearest_N: Vectors = np.sqrt((difference_NF**2).mean(axis=1))
    return nearest_N


def is_near_copy(made_NF: Vectors, known_MF: Vectors) -> list[float]:
    """Return 1 for each thumbnail that is a near copy of a known one, else 0."""
    return [float(d <= NEAR_COPY_DISTANCE) for d in nearest_distance(made_NF, known_MF)]
