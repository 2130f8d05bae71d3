"""Checks that a generated picture passes before anyone sees it.

In:  a picture, its embedding, the index of catalog pictures.
Out: the names of the checks it passed; `GenerationError` for the first it did not.
"""

import numpy as np

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.ports import ItemIndex
from pigeon_recsys.records import Pixels, Vectors

MIN_CONTRAST = 6.0  # standard deviation of grey values, of 255; a flat picture has none
MAX_COPY_SIMILARITY = 0.9999  # cosine to a catalog picture that counts as the same picture


def check_not_blank(pixels: Pixels) -> str:
    """Refuse a picture with almost no contrast."""
    contrast = float(np.asarray(pixels, np.float32).mean(axis=2).std())
    if contrast < MIN_CONTRAST:
        raise GenerationError(
            f"the picture is blank: contrast {contrast:.1f} of 255, at least {MIN_CONTRAST} "
            "needed. Try another seed."
        )
    return "not_blank"


def check_not_copy(vector: Vectors, index: ItemIndex) -> str:
    """Refuse a picture that the embedder cannot tell from one in the catalog."""
    nearest = index.search(vector, 1)
    if nearest and nearest[0].score > MAX_COPY_SIMILARITY:
        raise GenerationError(
            f"the picture is a copy of catalog item {nearest[0].item_id!r}: similarity "
            f"{nearest[0].score:.4f}, at most {MAX_COPY_SIMILARITY} allowed. Try another seed."
        )
    return "not_copy"
