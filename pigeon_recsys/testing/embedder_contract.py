"""What every `ImageEmbedder` must do, as tests to inherit.

class TestMyEmbedder(ImageEmbedderContract):
    def make_embedder(self) -> ImageEmbedder:
        return MyEmbedder(...)
"""

from abc import ABC, abstractmethod

import numpy as np
import pytest

from pigeon_recsys.ports import ImageEmbedder
from pigeon_recsys.records import Pixels

MANY = 130  # pictures: more than any sensible batch, and no multiple of one


def picture(seed: int, height: int = 24, width: int = 24) -> Pixels:
    """Return a picture of coloured noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class ImageEmbedderContract(ABC):
    """Inherit and supply `make_embedder`."""

    @abstractmethod
    def make_embedder(self) -> ImageEmbedder:
        """Return an embedder."""

    @pytest.fixture
    def embedder(self) -> ImageEmbedder:
        """The embedder under test."""
        return self.make_embedder()

    def test_it_has_the_methods_of_the_port(self, embedder: ImageEmbedder) -> None:
        assert isinstance(embedder, ImageEmbedder)

    def test_embeddings_are_float32_unit_vectors(self, embedder: ImageEmbedder) -> None:
        vectors = embedder.embed([picture(seed) for seed in range(3)])
        assert vectors.shape == (3, embedder.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_no_pictures_give_no_vectors_of_the_right_width(self, embedder: ImageEmbedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dim)

    def test_a_blank_picture_has_a_unit_vector_too(self, embedder: ImageEmbedder) -> None:
        for value in (0, 255):
            vector = embedder.embed([np.full((24, 24, 3), value, np.uint8)])[0]
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    def test_pictures_of_different_sizes_may_be_mixed(self, embedder: ImageEmbedder) -> None:
        pictures = [picture(0, 96, 96), picture(1, 60, 40), picture(2, 2, 3)]
        assert embedder.embed(pictures).shape == (3, embedder.dim)

    def test_a_vector_does_not_depend_on_the_other_pictures(self, embedder: ImageEmbedder) -> None:
        pictures = [picture(seed) for seed in range(MANY)]
        together = embedder.embed(pictures)
        for row in (0, MANY // 2, MANY - 1):
            alone = embedder.embed([pictures[row]])[0]
            np.testing.assert_allclose(together[row], alone, atol=1e-5)

    def test_different_pictures_have_different_vectors(self, embedder: ImageEmbedder) -> None:
        first, second = embedder.embed([picture(0), picture(1)])
        assert not np.allclose(first, second, atol=1e-4)
