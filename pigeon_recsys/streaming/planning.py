"""From "this user is to get an image" to a job that says which.

In:  a user's history as the store has it now, what was asked for, what was made lately.
Out: the job, with its reference and its history images, and the mark of the history it was made of.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.ports import HistorySource, ItemCatalog, ItemIndex
from pigeon_recsys.records import Reference
from pigeon_recsys.retrieval.candidates import retrieve_candidates, taste_of
from pigeon_recsys.retrieval.history_selection import (
    NUM_IMAGES,
    SelectionSettings,
    indexed_likes,
    select_history,
)
from pigeon_recsys.streaming.demand_table import Turn
from pigeon_recsys.streaming.jobs import GenerationJob
from pigeon_recsys.streaming.user_demand import Mark, UserDemand

HISTORY_LIMIT = 200  # newest interactions read
NUM_CANDIDATES = 1  # of a reference


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made, and the history it is made of."""

    job: GenerationJob
    mark: Mark


@dataclass(frozen=True)
class Planner:
    """Decides what an image shows; the same history and demand give the same job."""

    histories: HistorySource
    catalog: ItemCatalog
    index: ItemIndex
    generator_version: str
    num_images: int = NUM_IMAGES
    selection: SelectionSettings = field(default_factory=SelectionSettings)

    def plan(self, turn: Turn, now_ms: int) -> Plan:
        """Return the plan of a user whose turn it is.

        Raises `UnknownUser`, `UnknownItem` and `GenerationError` for what cannot be drawn, however
        often it is tried, and `HistoryStoreError` where the store fails.
        """
        user = turn.user
        history = self.histories.recent(user.user_id, HISTORY_LIMIT)
        liked, vectors_ND = indexed_likes(self.index, history.liked)
        if not liked:
            raise GenerationError(
                f"none of the user's {len(history.liked)} likes is an indexed item, so there is no "
                "taste to draw by. Wait for a like, or index the items."
            )
        request = user.demand.request
        reference = self._reference(user, liked) if request is None else request.reference
        wanted = reference.item_id
        vector = None if wanted is None else self.index.vectors([wanted])[0]
        shown = select_history(self.index, liked, vector, self.num_images, self.selection)
        job = GenerationJob(
            user_id=user.user_id,
            history_hash=history.content_hash,
            history_item_ids=shown,
            reference=reference,
            seed=0 if request is None else request.seed,
            generator_version=self.generator_version,
            reason=turn.reason,
            priority=turn.priority,
            caused_ms=history.version if request is None else request.at_ms,
            started_ms=now_ms,
            request_id="" if request is None else request.request_id,
        )
        return Plan(job, Mark.of(liked, taste_of(vectors_ND), history.times_ms[0]))

    def _reference(self, user: UserDemand, liked: Collection[str]) -> Reference:
        """Return the item most to the user's taste of those that no image was made of lately."""
        made_of = {each.reference_item_id for each in user.recent if each.reference_item_id}
        found = retrieve_candidates(
            self.index, self.catalog, tuple(liked), NUM_CANDIDATES, exclude=made_of
        )
        if not found:
            raise GenerationError(
                f"no item of the catalog is left to draw: {len(liked)} are liked and "
                f"{len(made_of)} were drawn lately. Add items, or wait for a request."
            )
        best = found[0].item_id  # never a generated one: copies of copies fade
        return Reference(best, self.catalog.item(best).instruction)
