"""Each picture is embedded once, and the vectors are those of the embedder itself."""

from collections.abc import Sequence

import numpy as np

from pigeon_recsys.generation.embedded_once import embedded_once
from pigeon_recsys.generation.ratio_choice import HalvedEmbedder
from pigeon_recsys.records import Pixels, Vectors
from pigeon_recsys.testing.embedder_contract import ImageEmbedderContract
from pigeon_recsys.testing.fakes import FakeEmbedder


def noise(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)


class Counting(FakeEmbedder):
    """Counts the pictures of each call; its first three numbers say what a picture shows."""

    content_dim = 3

    def __init__(self) -> None:
        self.counts: list[int] = []

    def embed(self, images: Sequence[Pixels]) -> Vectors:
        self.counts.append(len(images))
        return super().embed(images)


class TestEmbeddedOnce(ImageEmbedderContract):
    def make_embedder(self):  # type: ignore[no-untyped-def]
        return embedded_once(FakeEmbedder())


def test_only_what_is_new_is_embedded_and_all_of_it_in_one_pass() -> None:
    inner = Counting()
    once = embedded_once(inner)
    once.embed([noise(1), noise(2)])
    found = once.embed([noise(3), noise(1), noise(4)])
    once.embed([noise(4)])
    assert inner.counts == [2, 2]
    expected = FakeEmbedder().embed([noise(3), noise(1), noise(4)])
    np.testing.assert_array_equal(found, expected)


def test_vectors_of_one_are_known_to_the_next() -> None:
    known = embedded_once(FakeEmbedder()).vectors_of([noise(1)])
    inner = Counting()
    found = embedded_once(inner, known).embed([noise(1)])
    assert inner.counts == []
    np.testing.assert_array_equal(found, FakeEmbedder().embed([noise(1)]))


def test_halves_are_where_the_embedder_has_them() -> None:
    halved = embedded_once(Counting())
    assert isinstance(halved, HalvedEmbedder)
    assert halved.content_dim == 3
    assert not isinstance(embedded_once(FakeEmbedder()), HalvedEmbedder)
