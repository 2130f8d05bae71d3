"""Scores for one slate: one pass over candidates and pictures, calibrated by source."""

from collections.abc import Sequence

import numpy as np
import pytest

from pigeon_recsys.ranking.calibration import Outcomes, fit_calibration
from pigeon_recsys.ranking.scoring import Scorer
from pigeon_recsys.records import (
    LIKE,
    GeneratedItem,
    History,
    Item,
    Provenance,
    RankContext,
    RankItem,
    Reference,
    ScoredItem,
    Vectors,
)
from pigeon_recsys.testing.fakes import FakeCatalog, FakeEmbedder, FakeIndex, FakeRanker

ADA = History("ada", ("item-01",), (1,), (LIKE,))
OWN = [ScoredItem("item-02", 9.0), ScoredItem("never-heard-of", 8.0), ScoredItem("item-03", 7.0)]


class CountingRanker(FakeRanker):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[RankItem]] = []

    def score(
        self, history: History, items: Sequence[RankItem], context: RankContext | None = None
    ) -> Vectors:
        self.asked.append(list(items))
        return super().score(history, items, context)


def generated(reference: Reference) -> GeneratedItem:
    vector = FakeEmbedder().embed([FakeCatalog(5).pixels("item-04")])[0]
    made = Provenance(
        content_hash="0" * 64,
        model="fake",
        weights_version="1",
        user_id="ada",
        history_hash="hash",
        history_item_ids=(),
        reference=reference,
        reference_mask_ratio=0.5,
        seed=1,
        steps=1,
        history_score=1.0,
        reference_score=1.0,
        checks_passed=(),
        created_ms=1,
    )
    return GeneratedItem("gen-1", "", vector, "", "test", made)


@pytest.fixture
def scorer() -> Scorer:
    catalog = FakeCatalog(5)
    vectors = FakeEmbedder().embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    return Scorer(catalog, FakeIndex(catalog.item_ids, vectors), CountingRanker())


def test_candidates_and_pictures_are_ranked_in_one_pass(scorer: Scorer) -> None:
    ranked = scorer.score(ADA, OWN, [generated(Reference("item-00", "a cake"))])
    assert isinstance(scorer.ranker, CountingRanker)
    (asked,) = scorer.ranker.asked
    assert [item.item_id for item in asked] == ["item-02", "item-03", "gen-1"]
    assert [item.is_generated for item in asked] == [False, False, True]
    assert asked[0].text == scorer.catalog.item("item-02").title
    assert asked[2].text == "a cake"
    assert asked[2].attributes == scorer.catalog.item("item-00").attributes
    (offer,) = ranked.offers
    assert (offer.item_id, offer.reference_id) == ("gen-1", "item-00")


def test_an_unknown_candidate_has_no_probability_and_no_vector(scorer: Scorer) -> None:
    ranked = scorer.score(ADA, OWN)
    assert [p is None for p in ranked.candidates.probabilities or ()] == [False, True, False]
    assert np.isnan(ranked.scores.raw).tolist() == [False, True, False]
    vectors = ranked.candidates.vectors_ND
    assert vectors is not None
    assert np.abs(vectors).sum(axis=1).astype(bool).tolist() == [True, False, True]


def test_only_unknown_candidates_are_no_fault(scorer: Scorer) -> None:
    ranked = scorer.score(ADA, [OWN[1]])
    assert ranked.candidates.probabilities == [None]
    assert ranked.candidates.vectors_ND is None
    assert scorer.score(ADA, []).candidates.items == []


def test_a_creative_is_for_the_item_it_was_made_from(scorer: Scorer) -> None:
    made = [generated(Reference("item-02")), generated(Reference(text="a cake"))]
    (offer,) = scorer.score(ADA, OWN, made, kind="creative").offers
    assert (offer.kind, offer.for_item) == ("creative", "item-02")


def test_each_source_has_its_own_curve(scorer: Scorer) -> None:
    scores = np.repeat([0.2, 0.8], 300)
    outcomes = np.concatenate([np.arange(300) % 5 == 0, np.arange(300) % 5 > 0]).astype(float)
    over = np.concatenate([outcomes, outcomes * 0])
    calibration = fit_calibration(
        Outcomes(np.tile(scores, 2), ["catalog"] * 600 + ["generated"] * 600, over, ["ada"] * 1200)
    )
    calibrated = Scorer(scorer.catalog, scorer.index, scorer.ranker, calibration)
    ranked = calibrated.score(ADA, OWN, [generated(Reference("item-00"))])
    raw = scorer.score(ADA, OWN, [generated(Reference("item-00"))])
    assert ranked.offers[0].probability < 0.1 < raw.offers[0].probability
    assert ranked.scores.raw[0] == raw.scores.raw[0]
    assert ranked.scores.calibrated[0] == pytest.approx(raw.scores.raw[0], abs=0.15)


def test_nothing_is_kept_of_a_generated_item_that_a_reference_names() -> None:
    """It may be erased: then the catalog, which has it from its store, does not know it either."""

    class WithGenerated(FakeCatalog):
        is_erased = False

        def item(self, item_id: str) -> Item:
            if item_id == "gen-7" and not self.is_erased:
                return Item(item_id, "a happy cake", "", {})
            return super().item(item_id)

    catalog, ranker = WithGenerated(5), CountingRanker()
    vectors = FakeEmbedder().embed([catalog.pixels(item_id) for item_id in catalog.item_ids])
    index = FakeIndex([*catalog.item_ids, "gen-7"], np.concatenate([vectors, vectors[:1]]))
    scorer = Scorer(catalog, index, ranker)
    for is_erased, words in ((False, "a happy cake"), (True, "")):
        catalog.is_erased = is_erased
        scorer.score(ADA, (), [generated(Reference("gen-7"))])
        assert [row.text for row in ranker.asked[-1]] == [words]
