"""Probabilities for one slate: candidates and generated items, each calibrated for its source.

In:  a user's history, the caller's candidates or generated items, the moment.
Out: what the blend takes: candidates in columns, offers.

A candidate that the index or the catalog does not know has no probability and no vector; it
stays where the caller put it. Items of the catalog are looked up once and kept. Generated ones,
which a reference may name, are looked up each time: they are users', who may be erased.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.ports import ItemCatalog, ItemIndex, Ranker
from pigeon_recsys.ranking.blend_input import Candidates, Offer
from pigeon_recsys.ranking.calibration import Calibration
from pigeon_recsys.records import (
    GENERATED_PREFIX,
    GeneratedItem,
    History,
    ItemKind,
    RankContext,
    RankItem,
    ScoredItem,
    Vectors,
)

# N candidates, D width of an embedding

CATALOG, GENERATED = "catalog", "generated"  # sources of items
KEPT_ITEMS = 1 << 16  # then the table starts anew


@dataclass(frozen=True, eq=False)
class Scores:
    """The probabilities of some items, before and after calibration; nan where not known."""

    raw: Vectors  # (N,), the ranker's
    calibrated: Vectors  # (N,)


@dataclass(frozen=True, eq=False)
class Ranked:
    """What the blend takes, and the scores it came from."""

    candidates: Candidates
    scores: Scores  # of the candidates
    offers: list[Offer]
    offer_scores: Scores


@dataclass(frozen=True)
class Scorer:
    """Scores the items of one request after another; threads may share it."""

    catalog: ItemCatalog
    index: ItemIndex
    ranker: Ranker
    calibration: Calibration | None = None  # without one scores are taken as probabilities
    _rows: dict[str, RankItem] = field(default_factory=dict, init=False, repr=False)

    def score(
        self,
        history: History,
        items: Sequence[ScoredItem],
        generated: Sequence[GeneratedItem] = (),
        context: RankContext | None = None,
        *,
        kind: ItemKind = "item",
        with_vectors: bool = True,
    ) -> Ranked:
        """Return candidates and generated items with their probabilities, ranked in one pass.

        A creative is for the item it was made from; what was made from a text alone is left out.
        """
        item_ids = tuple([item.item_id for item in items])
        rows = self._catalog_rows(item_ids)
        known = [row for row in rows if row is not None]
        is_known_N = None if len(known) == len(rows) else _is_known(rows)
        offered = [item for item in generated if kind == "item" or _made_from(item) is not None]
        of_all = [*known, *(self._generated_row(item) for item in offered)]
        raw = np.asarray(self.ranker.score(history, of_all, context), np.float32)
        scores = self._calibrated(raw[: len(known)], CATALOG, is_known_N)
        offer_scores = self._calibrated(raw[len(known) :], GENERATED)
        return Ranked(
            Candidates(
                items,
                scores.calibrated if is_known_N is None else _none_for_nan(scores.calibrated),
                _vectors(rows) if with_vectors and known else None,
                known_ids=item_ids,
            ),
            scores,
            _offers(offered, offer_scores, kind),
            offer_scores,
        )

    def _calibrated(
        self, raw: Vectors, source: str, is_known_N: NDArray[np.bool_] | None = None
    ) -> Scores:
        """Return scores of one source, spread over the items that are known."""
        calibrated = raw
        if self.calibration is not None and len(raw):
            calibrated = self.calibration.apply(raw, source).astype(np.float32)
        if is_known_N is None:
            return Scores(raw, calibrated)
        return Scores(_spread(raw, is_known_N), _spread(calibrated, is_known_N))

    def _catalog_rows(self, item_ids: Sequence[str]) -> list[RankItem | None]:
        """Return what the ranker reads of catalog items, None of one that is not known."""
        rows = list(map(self._rows.get, item_ids))
        if all(rows):  # as nearly always, and hundreds are looked at without a loop of Python's
            return rows
        for number in [number for number, row in enumerate(rows) if row is None]:
            item_id = item_ids[number]
            rows[number] = row = self._catalog_row(item_id)
            if row is not None and not item_id.startswith(GENERATED_PREFIX):
                if len(self._rows) >= KEPT_ITEMS:
                    self._rows.clear()
                self._rows[item_id] = row
        return rows

    def _catalog_row(self, item_id: str) -> RankItem | None:
        try:
            item = self.catalog.item(item_id)
            vector = self.index.vectors([item_id])[0]
        except UnknownItem:
            return None
        return RankItem(item_id, vector, item.attributes, text=item.title)

    def _generated_row(self, item: GeneratedItem) -> RankItem:
        """Return a generated item as the ranker sees it: its picture, and what was asked for."""
        reference = item.provenance.reference
        asked = self._catalog_rows([reference.item_id])[0] if reference.item_id else None
        return RankItem(
            item_id=item.item_id,
            embedding=item.embedding,
            attributes={} if asked is None else asked.attributes,
            is_generated=True,
            text=reference.text or ("" if asked is None else asked.text),
        )


def _made_from(item: GeneratedItem) -> str | None:
    return item.provenance.reference.item_id


def _offers(items: Sequence[GeneratedItem], scores: Scores, kind: ItemKind) -> list[Offer]:
    return [
        Offer(
            item_id=item.item_id,
            probability=probability,
            kind=kind,
            for_item=_made_from(item) if kind == "creative" else None,
            reference_id=_made_from(item),
            vector=item.embedding,
            content_hash=item.provenance.content_hash,
        )
        for item, probability in zip(items, scores.calibrated.tolist(), strict=True)
    ]


def _vectors(rows: Sequence[RankItem | None]) -> Vectors:
    """Return the items' vectors (N, D), zero where an item is not known; one must be."""
    empty = np.zeros_like(next(row for row in rows if row is not None).embedding)
    vectors = [empty if row is None else row.embedding for row in rows]
    vectors_ND: Vectors = np.concatenate(vectors).reshape(len(vectors), len(empty))
    return vectors_ND


def _is_known(rows: Sequence[RankItem | None]) -> NDArray[np.bool_]:
    return np.array([row is not None for row in rows], np.bool_)


def _spread(of_known: Vectors, is_known_N: NDArray[np.bool_]) -> Vectors:
    """Return a column over all items, nan where one is not known."""
    column_N = np.full(len(is_known_N), np.nan, np.float32)
    column_N[is_known_N] = of_known
    return column_N


def _none_for_nan(column_N: Vectors) -> list[float | None]:
    return [None if np.isnan(value) else value for value in column_N.tolist()]
