"""Checks that a generated picture passes before anyone sees it.

In:  a picture, its embedding, the index of catalog pictures, a classifier of unsafe ones.
Out: the names of the checks it passed; `GenerationError` for the first it did not.
"""

import numpy as np

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.ports import ItemIndex, SafetyClassifier
from pigeon_recsys.records import Generation, Pixels, Vectors, content_hash

MIN_CONTRAST = 6.0  # standard deviation of grey values, of 255; a flat picture has none
MAX_COPY_SIMILARITY = 0.9999  # cosine to a catalog picture that counts as the same picture
MAX_UNSAFE = 0.5  # probability by the safety classifier
MAX_SIDE = 4096  # pixels


def check_sound(made: Generation) -> str:
    """Refuse what is no picture, or not the one that its provenance describes."""
    pixels = made.pixels
    is_picture = (
        isinstance(pixels, np.ndarray)
        and pixels.dtype == np.uint8
        and pixels.ndim == 3
        and pixels.shape[2] == 3
        and min(pixels.shape) > 0
        and max(pixels.shape) <= MAX_SIDE
    )
    if not is_picture:
        kind = f"{getattr(pixels, 'dtype', type(pixels).__name__)}"
        raise GenerationError(
            f"the generator made no RGB picture of at most {MAX_SIDE} pixels a side, but "
            f"{kind} of shape {getattr(pixels, 'shape', None)}."
        )
    if made.provenance.content_hash != content_hash(pixels):
        raise GenerationError("the picture is not the one its provenance was written for.")
    return "sound"


def check_safe(pixels: Pixels, safety: SafetyClassifier) -> str:
    """Refuse a picture that the classifier finds unsafe, or cannot judge."""
    probability = float(safety.unsafe([pixels])[0])
    if not probability <= MAX_UNSAFE:  # NaN is refused too
        raise GenerationError(
            f"the picture must not be shown: unsafe with probability {probability:.2f}, at most "
            f"{MAX_UNSAFE} allowed."
        )
    return "safe"


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
