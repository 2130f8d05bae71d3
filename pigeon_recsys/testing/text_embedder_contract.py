"""What every `TextEmbedder` must do, as tests to inherit.

class TestMyText(TextEmbedderContract):
    def make_embedder(self) -> TextEmbedder:
        return MyText()
"""

from abc import ABC, abstractmethod

import numpy as np
import pytest

from pigeon_recsys.ports import TextEmbedder

TEXTS = ["a happy cat", "two old dogs in the rain", "Ein Bär", "猫"]
TOLERANCE = 1e-5


class TextEmbedderContract(ABC):
    """Inherit and supply `make_embedder`."""

    @abstractmethod
    def make_embedder(self) -> TextEmbedder:
        """Return the embedder under test."""

    @pytest.fixture
    def embedder(self) -> TextEmbedder:
        """The embedder under test."""
        return self.make_embedder()

    def test_it_has_the_methods_of_the_port(self, embedder: TextEmbedder) -> None:
        assert isinstance(embedder, TextEmbedder)
        assert embedder.version

    def test_texts_become_unit_vectors_of_its_width(self, embedder: TextEmbedder) -> None:
        vectors_ND = embedder.embed(TEXTS)
        assert vectors_ND.shape == (len(TEXTS), embedder.dim)
        assert vectors_ND.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1, atol=TOLERANCE)

    def test_a_text_without_words_is_the_zero_vector(self, embedder: TextEmbedder) -> None:
        assert not embedder.embed(["", " \n"]).any()

    def test_no_texts_give_no_vectors(self, embedder: TextEmbedder) -> None:
        assert embedder.embed([]).shape == (0, embedder.dim)

    def test_a_text_embeds_the_same_alone_as_among_others(self, embedder: TextEmbedder) -> None:
        alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
        np.testing.assert_allclose(embedder.embed(TEXTS), alone, atol=TOLERANCE)
