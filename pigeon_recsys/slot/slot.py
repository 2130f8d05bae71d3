"""The generation slot: one request in, one slate out, read from top to bottom.

    history -> candidates -> an image made for this user -> scores -> blend

Every stage is a port or a pure function. Whatever goes wrong with the image, the catalog
slate goes out: only this file degrades, and it says why.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pigeon_recsys.errors import GenerationError, StoreError, UnknownItem, UnknownUser
from pigeon_recsys.hashed_ids import without_user
from pigeon_recsys.ports import (
    HistorySource,
    ImageEmbedder,
    ImageGenerator,
    ItemCatalog,
    ItemIndex,
    Ranker,
)
from pigeon_recsys.ranking.blend import BlendConstraints, blend
from pigeon_recsys.records import (
    Generation,
    GenerationTask,
    History,
    Placement,
    RankItem,
    Reference,
    ScoredItem,
    Slate,
    SlotRequest,
    Vectors,
)
from pigeon_recsys.retrieval.candidates import retrieve_candidates
from pigeon_recsys.retrieval.history_selection import SelectionSettings
from pigeon_recsys.retrieval.task import gather_task

logger = logging.getLogger(__name__)

UNKNOWN_USER = "unknown user: cold-start slate, no generated item"
NO_LIKES = "no liked items: cold-start slate, no generated item"


@dataclass(frozen=True)
class SlotSettings:
    """How the slot composes its stages."""

    history_limit: int = 60  # newest interactions read
    history_images: int = 5  # liked images shown to the generator
    num_candidates: int = 100  # retrieved when the request brings none
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    constraints: BlendConstraints = field(
        default_factory=lambda: BlendConstraints(allowed_positions=(1, 2, 3, 4, 5, 6, 7, 8, 9))
    )


@dataclass(frozen=True)
class GenerationSlot:
    """A feed's slot for generated images; safe to share between threads when its ports are."""

    histories: HistorySource
    catalog: ItemCatalog
    embedder: ImageEmbedder
    index: ItemIndex
    generator: ImageGenerator
    ranker: Ranker
    settings: SlotSettings = field(default_factory=SlotSettings)

    def fill(self, request: SlotRequest) -> Slate:
        """Return the user's slate, with a generated item where one was made and merits it."""
        try:
            history = self.histories.recent(request.user_id, self.settings.history_limit)
        except UnknownUser:
            return self._cold_start(request, UNKNOWN_USER)
        if history.is_stale:
            logger.warning(
                "the history for request %s is stale: written at %s ms",
                request.request_id,
                history.written_ms,
            )
        if not history.liked:
            return self._cold_start(request, NO_LIKES)
        candidates = self._ranked_candidates(request, history)
        generation, failure = self._generate_or_none(request, history, candidates)
        generated = self._score_generated(history, generation)
        blended = blend(
            candidates, generated, size=request.slate_size, constraints=self.settings.constraints
        )
        return Slate(
            request_id=request.request_id,
            user_id=request.user_id,
            placements=blended.placements,
            reason=failure or blended.reason,
            generation=generation,
        )

    def _ranked_candidates(self, request: SlotRequest, history: History) -> list[ScoredItem]:
        """Return the request's candidates, or items like its reference, with ranker scores.

        Without candidates and reference, the user's taste retrieves them.
        """
        candidates = list(request.candidates) or retrieve_candidates(
            self.index,
            self.catalog,
            history.liked,
            self.settings.num_candidates,
            asked=self._asked_vector(request),
        )
        item_ids = [candidate.item_id for candidate in candidates]
        vectors = self.index.vectors(item_ids)
        items = [
            RankItem(item_id, vector, self.catalog.item(item_id).attributes)
            for item_id, vector in zip(item_ids, vectors, strict=True)
        ]
        return _scored(item_ids, self.ranker.score(history, items))

    def _asked_vector(self, request: SlotRequest) -> Vectors | None:
        """Return the vector of the request's reference, none if it names no indexed item."""
        if request.reference is None or request.reference.item_id is None:
            return None
        try:
            vector: Vectors = self.index.vectors([request.reference.item_id])[0]
        except UnknownItem:
            return None
        return vector

    def _generate_or_none(
        self, request: SlotRequest, history: History, candidates: Sequence[ScoredItem]
    ) -> tuple[Generation | None, str]:
        """Return an image made for this user, or none and the reason."""
        try:
            task = self._task(request, history, candidates)
            return self.generator.generate([task])[0], ""
        except (GenerationError, StoreError, UnknownItem) as exc:
            told = without_user(exc, request.user_id)
            logger.warning("no image for request %s: %s", request.request_id, told)
            return None, f"no generated item: {exc}"

    def _task(
        self, request: SlotRequest, history: History, candidates: Sequence[ScoredItem]
    ) -> GenerationTask:
        """Gather the pictures the generator needs; without a reference the best candidate is it."""
        reference = request.reference or self._reference_of(candidates)
        return gather_task(
            self.catalog,
            self.index,
            history,
            reference,
            request.seed,
            num_images=self.settings.history_images,
            selection=self.settings.selection,
        )

    def _reference_of(self, candidates: Sequence[ScoredItem]) -> Reference:
        if not candidates:
            raise GenerationError("there is no candidate to take as the reference")
        best = max(candidates, key=lambda candidate: candidate.score)
        return Reference(best.item_id, self.catalog.item(best.item_id).instruction)

    def _score_generated(self, history: History, generation: Generation | None) -> list[ScoredItem]:
        """Return the generated item scored like any other, by what its picture shows."""
        if generation is None:
            return []
        reference_id = generation.provenance.reference.item_id
        attributes = {} if reference_id is None else self.catalog.item(reference_id).attributes
        vector = self.embedder.embed([generation.pixels])[0]
        item = RankItem(generation.item_id, vector, attributes, is_generated=True)
        return _scored([generation.item_id], self.ranker.score(history, [item]))

    def _cold_start(self, request: SlotRequest, reason: str) -> Slate:
        """Return the caller's own order, or popular items, for a user nothing is known of."""
        items = list(request.candidates) or self.catalog.popular(request.slate_size)
        best = sorted(items, key=lambda item: -item.score)[: request.slate_size]
        placements = tuple(
            Placement(position, item.item_id, item.score, is_generated=False)
            for position, item in enumerate(best)
        )
        return Slate(request.request_id, request.user_id, placements, reason)


def _scored(item_ids: Sequence[str], scores: Vectors) -> list[ScoredItem]:
    return [
        ScoredItem(item_id, score)
        for item_id, score in zip(item_ids, np.asarray(scores).tolist(), strict=True)
    ]
