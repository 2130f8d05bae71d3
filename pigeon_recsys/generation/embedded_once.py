"""An embedder for the pictures of one task, each of which is embedded once.

In:  pictures, and the vectors of those embedded before.
Out: their vectors.

A picture is scored against the history and then checked against the catalog, and a redraw is
scored against the same history again: embedding that anew takes longer than painting.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pigeon_recsys.generation.ratio_choice import HalvedEmbedder
from pigeon_recsys.ports import ImageEmbedder
from pigeon_recsys.records import Pixels, Vectors, content_hash


class EmbeddedOnce:
    """Implements the `ImageEmbedder` port; what is new in a call is embedded in one pass."""

    def __init__(self, embedder: ImageEmbedder, known: Mapping[str, Vectors] | None = None) -> None:
        self._embedder = embedder
        self._known = dict(known or {})

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self._embedder.dim

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        """Return unit vectors (len(images), dim)."""
        hashes = [content_hash(image) for image in images]
        new = [place for place, digest in enumerate(hashes) if digest not in self._known]
        rows: Vectors = np.zeros((len(images), self.dim), np.float32)
        for place, digest in enumerate(hashes):
            rows[place] = self._known.get(digest, 0)
        if new:
            rows[new] = self._embedder.embed([images[place] for place in new])
            self._known |= {hashes[place]: rows[place].copy() for place in new}
        return rows

    def vectors_of(self, images: Sequence[Pixels]) -> dict[str, Vectors]:
        """Return vectors by content hash, to be known to another one."""
        self.embed(images)
        return {digest: self._known[digest] for digest in map(content_hash, images)}


class HalvesEmbeddedOnce(EmbeddedOnce):
    """Implements `HalvedEmbedder` as well."""

    def __init__(
        self, embedder: HalvedEmbedder, known: Mapping[str, Vectors] | None = None
    ) -> None:
        super().__init__(embedder, known)
        self.content_dim = embedder.content_dim


def embedded_once(
    embedder: ImageEmbedder, known: Mapping[str, Vectors] | None = None
) -> EmbeddedOnce:
    """Return an embedder with halves where the one given has them."""
    if isinstance(embedder, HalvedEmbedder):
        return HalvesEmbeddedOnce(embedder, known)
    return EmbeddedOnce(embedder, known)
