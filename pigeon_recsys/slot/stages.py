"""The stages of a slate, from the user's history to the blend.

In:  a draft with the request in it.
Out: a slate; in the draft, what every stage found.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pigeon_recsys.errors import GenerationError, PigeonError, UnknownItem, UnknownUser
from pigeon_recsys.generation.ladder import Ladder
from pigeon_recsys.ranking.blend import Blend, blend, placeable
from pigeon_recsys.ranking.blend_input import BlendRequest
from pigeon_recsys.ranking.exploration import choose_for_slot
from pigeon_recsys.ranking.scoring import Ranked, Scorer
from pigeon_recsys.records import (
    GeneratedItem,
    GenerationTask,
    History,
    Placement,
    RankContext,
    Reference,
    ScoredItem,
    Slate,
    SlotRequest,
    Vectors,
)
from pigeon_recsys.retrieval.candidates import retrieve_candidates
from pigeon_recsys.retrieval.task import gather_task
from pigeon_recsys.slot.context import item_options, slot_context
from pigeon_recsys.slot.decision import certain_choice
from pigeon_recsys.slot.draft import Draft
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.settings import SlotSettings

logger = logging.getLogger(__name__)

UNKNOWN_USER = "unknown user: cold-start slate, no generated item"
NO_LIKES = "no liked items: cold-start slate, no generated item"
NO_RANKER = "no generated item: no ranker is configured"


class NoSlot(PigeonError):
    """This slate has no slot, and nothing is wrong; the message says why."""


@dataclass(frozen=True)
class Stages:
    """Makes slates; threads may share it."""

    parts: SlotParts
    settings: SlotSettings
    ladder: Ladder
    scorer: Scorer | None

    def complete(self, draft: Draft) -> Slate:
        """Go through the stages, writing down what each found.

        Raises `NoSlot`, and what a stage raises.
        """
        request = draft.request
        try:
            with draft.doing("history"):
                history = self._history(request)
        except UnknownUser as exc:
            raise NoSlot(UNKNOWN_USER) from exc
        draft.history = history
        if not history.liked:
            raise NoSlot(NO_LIKES)
        if self.scorer is None:
            raise NoSlot(NO_RANKER)
        with draft.doing("candidates"):
            draft.items = request.candidates or self._retrieved(request, history)
        with draft.doing("pictures"):
            draft.found = self.ladder.best(
                request.user_id,
                request.reference,
                lambda: self._task(draft),
                draft.deadline,
                draft.at_ms,
            )
        with draft.doing("ranking"):
            draft.ranked = self._ranked(draft, draft.found.items)
        with draft.doing("blending"):
            blended = self._blended(draft, draft.ranked)
            draft.blended = blended if request.candidates else _scored_by_us(blended)
        return _slate(draft, draft.blended)

    def _ranked(self, draft: Draft, generated: Sequence[GeneratedItem]) -> Ranked:
        """Score candidates and pictures at once."""
        assert self.scorer is not None
        assert draft.history is not None
        constraints = draft.constraints
        compares = constraints.neighbours is not None or constraints.near_copy_cosine is not None
        return self.scorer.score(
            draft.history,
            draft.items,
            generated,
            RankContext(draft.at_ms),
            kind=self.settings.kind,
            with_vectors=compares,
        )

    def _history(self, request: SlotRequest) -> History:
        history = self.parts.histories.recent(request.user_id, self.settings.history_limit)
        if history.is_stale:
            logger.warning(
                "the history for request %s is stale: written at %s ms",
                request.request_id,
                history.written_ms,
            )
        return history

    def _retrieved(self, request: SlotRequest, history: History) -> tuple[ScoredItem, ...]:
        """Return items like the reference, or by the user's taste without one."""
        parts = self.parts
        return tuple(
            retrieve_candidates(
                parts.index,
                parts.catalog,
                history.liked,
                self.settings.num_candidates,
                asked=self._asked_vector(request),
            )
        )

    def _asked_vector(self, request: SlotRequest) -> Vectors | None:
        """Return the vector of the request's reference, none if it names no indexed item."""
        if request.reference is None or request.reference.item_id is None:
            return None
        try:
            vector: Vectors = self.parts.index.vectors([request.reference.item_id])[0]
        except UnknownItem:
            return None
        return vector

    def _task(self, draft: Draft) -> GenerationTask:
        """Gather the pictures the generator needs; without a reference the best candidate is it."""
        assert draft.history is not None
        return gather_task(
            self.parts.catalog,
            self.parts.index,
            draft.history,
            draft.request.reference or self._reference_of(draft),
            draft.request.seed,
            num_images=self.settings.history_images,
            selection=self.settings.selection,
        )

    def _reference_of(self, draft: Draft) -> Reference:
        ranked = [
            (probability, -number)
            for number, probability in enumerate(self._ranked(draft, ()).scores.calibrated.tolist())
            if probability == probability  # nan: an item the catalog does not know
        ]
        if not ranked:
            raise GenerationError("there is no candidate to take as the reference")
        best = draft.items[-max(ranked)[1]].item_id
        return Reference(best, self.parts.catalog.item(best).instruction)

    def _blended(self, draft: Draft, ranked: Ranked) -> Blend:
        """Place what is on offer: the one that the policy chose, or without one what merits it."""
        request, constraints = draft.request, draft.constraints
        asked = BlendRequest(
            request.user_id,
            request.request_id,
            request.slate_size,
            draft.at_ms,
            self.parts.shown.of(request.user_id),
        )
        policy, beliefs = self.settings.policy, self.parts.beliefs
        if policy is None and constraints.share == 1:  # what is placed says what is placeable
            blended = blend(ranked.candidates, ranked.offers, asked, constraints)
            shown = [one for one in ranked.offers if blended.verdicts[one.item_id].is_placed]
            draft.choice = certain_choice(shown, asked, constraints)
            return blended
        offers = placeable(ranked.candidates, ranked.offers, asked, constraints)
        if policy is None:
            draft.choice = certain_choice(offers, asked, constraints)
            return blend(ranked.candidates, ranked.offers, asked, constraints)
        draft.context = slot_context(draft, offers)
        draft.choice = choose_for_slot(
            policy,
            beliefs,
            item_options(draft, offers),
            asked,
            constraints,
            slot_features=tuple(draft.context.values()),
        )
        chosen = [offer for offer in offers if offer.item_id == draft.choice.item_id]
        return blend(ranked.candidates, chosen, asked, constraints)


def _scored_by_us(blended: Blend) -> Blend:
    """Return a slate of retrieved items, which nobody scored before, with their probabilities."""
    placements = tuple([_with_own_score(place) for place in blended.placements])
    return replace(blended, placements=placements)


def _with_own_score(place: Placement) -> Placement:
    if place.is_generated or place.probability is None:
        return place
    return Placement(
        place.position,
        place.item_id,
        place.probability,
        False,
        place.probability,
        place.creative_id,
    )


def _slate(draft: Draft, blended: Blend) -> Slate:
    found = draft.found
    placed = {
        place.creative_id or place.item_id
        for place in blended.placements
        if place.is_generated or place.creative_id
    }
    told = blended.reason if draft.ranked and draft.ranked.offers else "no generated item"
    return Slate(
        request_id=draft.request.request_id,
        user_id=draft.request.user_id,
        placements=blended.placements,
        reason=": ".join(filter(None, (told, found.reason))),
        rung=found.rung,
        generation=found.generation,
        items=tuple(item for item in found.items if item.item_id in placed),
    )
