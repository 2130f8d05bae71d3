"""What every `Ranker` must do, as tests to inherit.

    class TestMyRanker(RankerContract):
        image_dim = 64

        def make_ranker(self) -> Ranker:
            return MyRanker()

The items, the user and the history are ones that no ranker was trained on.
"""

from abc import ABC, abstractmethod

import numpy as np
import pytest

from pigeon_recsys.ports import Ranker
from pigeon_recsys.records import LIKE, SKIP, History, RankItem

NUM_ITEMS = 7
COLD = History("nobody", (), (), ())
WARM = History("ada", ("liked-1", "skipped", "liked-2"), (1, 2, 3), (LIKE, SKIP, LIKE))
TOLERANCE = 1e-5  # a matrix product may round otherwise when its shape changes


class RankerContract(ABC):
    """Inherit, supply `make_ranker`, and set the width of an item's embedding."""

    image_dim = 8

    @abstractmethod
    def make_ranker(self) -> Ranker:
        """Return the ranker under test."""

    @pytest.fixture
    def ranker(self) -> Ranker:
        """The ranker under test."""
        return self.make_ranker()

    @pytest.fixture
    def items(self) -> list[RankItem]:
        """Catalog items, and a generated one as the last."""
        vectors_ND = np.random.default_rng(0).normal(size=(NUM_ITEMS, self.image_dim))
        vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
        return [
            RankItem(
                item_id=f"item-{number}",
                embedding=vector_D.astype(np.float32),
                attributes={"style": "flat", "tags": ("round", "red")} if number % 2 else {},
                is_generated=number == NUM_ITEMS - 1,
            )
            for number, vector_D in enumerate(vectors_ND)
        ]

    def test_it_has_the_methods_of_the_port(self, ranker: Ranker) -> None:
        assert isinstance(ranker, Ranker)

    @pytest.mark.parametrize("history", [COLD, WARM], ids=["cold history", "warm history"])
    def test_every_item_gets_a_probability(
        self, ranker: Ranker, items: list[RankItem], history: History
    ) -> None:
        scores = ranker.score(history, items)
        assert scores.shape == (NUM_ITEMS,)
        assert scores.dtype == np.float32
        assert ((scores > 0) & (scores < 1)).all()

    def test_a_generated_item_can_be_scored_alone(
        self, ranker: Ranker, items: list[RankItem]
    ) -> None:
        (score,) = ranker.score(WARM, items[-1:])
        assert 0 < score < 1

    def test_no_items_give_no_scores(self, ranker: Ranker) -> None:
        assert ranker.score(WARM, []).shape == (0,)

    def test_the_same_request_gives_the_same_scores(
        self, ranker: Ranker, items: list[RankItem]
    ) -> None:
        np.testing.assert_array_equal(ranker.score(WARM, items), ranker.score(WARM, items))

    def test_an_item_scores_the_same_alone_as_among_others(
        self, ranker: Ranker, items: list[RankItem]
    ) -> None:
        alone = np.concatenate([ranker.score(WARM, [item]) for item in items])
        np.testing.assert_allclose(ranker.score(WARM, items), alone, atol=TOLERANCE)

    def test_the_order_of_the_items_changes_no_score(
        self, ranker: Ranker, items: list[RankItem]
    ) -> None:
        forward, backward = ranker.score(WARM, items), ranker.score(WARM, items[::-1])
        np.testing.assert_allclose(forward, backward[::-1], atol=TOLERANCE)
