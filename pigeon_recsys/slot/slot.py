"""The generation slot: one request in, one slate out, read from top to bottom.

    switched on? -> the stages (`stages.py`), in a thread -> the slate, or the caller's own -> log

Every stage is a port or a pure function. Whatever goes wrong, and whenever the time is up, the
caller's own slate goes out: only this file degrades, and it says why.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from pigeon_recsys.bounded_pool import BoundedPool, OutOfTime, PoolBusy, PoolClosed
from pigeon_recsys.deadline import Deadline
from pigeon_recsys.errors import PigeonError, public_text
from pigeon_recsys.generation.checks import check_safe
from pigeon_recsys.generation.ladder import Ladder
from pigeon_recsys.hashed_ids import without_user
from pigeon_recsys.ranking.blend import blend
from pigeon_recsys.ranking.blend_input import BlendRequest, Candidates
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.scoring import Scorer
from pigeon_recsys.records import (
    GeneratedItem,
    Generation,
    ScoredItem,
    Slate,
    SlotRequest,
)
from pigeon_recsys.slot.decision import decision_of, versions_of
from pigeon_recsys.slot.draft import Draft
from pigeon_recsys.slot.kill_switch import KillSwitch
from pigeon_recsys.slot.parts import SlotParts
from pigeon_recsys.slot.request import checked_request
from pigeon_recsys.slot.settings import SlotSettings
from pigeon_recsys.slot.stages import NoSlot, Stages

logger = logging.getLogger(__name__)

KEPT_CONSTRAINTS = 256  # of surfaces; more are made anew


class Slot:
    """A feed's slot for generated images; threads may share it. `close` when done."""

    def __init__(
        self,
        parts: SlotParts,
        settings: SlotSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives the time of day in seconds."""
        self.parts = parts
        self.settings = settings or SlotSettings()
        self._clock = clock
        self._versions = versions_of(parts, self.settings.policy)
        scorer = (
            None
            if parts.ranker is None
            else Scorer(parts.catalog, parts.index, parts.ranker, parts.calibration)
        )
        self._ladder = Ladder(
            parts.generator, parts.keep or self._described, parts.stored, self.settings.ladder
        )
        self._stages = Stages(parts, self.settings, self._ladder, scorer)
        self._pool = BoundedPool(self.settings.threads, "slot")
        self._kill_switch = KillSwitch(self.settings.kill_file)

    def fill(self, request: SlotRequest) -> Slate:
        """Return the user's slate, with a generated item where there is one that merits it.

        In time, and whatever happens inside: then it is the caller's own slate, and `reason` says
        why. Raises `RequestError` alone, for a request that cannot be ranked.
        """
        started = time.perf_counter()
        request = checked_request(request, self.settings.max_candidates)
        allowed_ms = (
            self.settings.deadline_ms if request.deadline_ms is None else request.deadline_ms
        )
        draft = Draft(
            request=request,
            constraints=self._constraints(request),
            deadline=Deadline.after(allowed_ms),
            at_ms=round(self._clock() * 1000),
        )
        recent = self.parts.recent
        epoch = 0 if recent is None else recent.epoch
        slate = self._in_time(draft)
        if recent is not None:
            recent.add(draft, slate, epoch)
        self._log(draft, slate, allowed_ms, (time.perf_counter() - started) * 1000)
        return slate

    def close(self) -> None:
        """Stop what is still at work; nothing is waited for."""
        self._ladder.close()
        self._pool.close()

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _constraints(self, request: SlotRequest) -> BlendConstraints:
        """Return what holds for the slate; items that the slot retrieved have no order to keep."""
        constraints = self.settings.blending.for_surface(request.surface)
        return constraints if request.candidates else _by_score(constraints)

    def _in_time(self, draft: Draft) -> Slate:
        """Make the slate in a thread that need not be waited for; without a limit, in this one."""
        if (why_not := self._switched_off(draft)) is not None:
            return self._own_slate(draft, why_not)
        left_s = draft.deadline.left_s()
        if left_s is None:
            return self._guarded(draft)
        if left_s == 0:
            return self._own_slate(draft, "the deadline was over before the work began")
        try:
            return self._pool.run(lambda: self._guarded(draft), draft.deadline)
        except PoolBusy:
            return self._own_slate(draft, f"all {self._pool.size} threads are busy")
        except PoolClosed:
            return self._own_slate(draft, "the slot is closed")
        except OutOfTime:
            return self._own_slate(draft, f"the deadline passed: {draft.stage} took too long")

    def _switched_off(self, draft: Draft) -> str | None:
        """Return why this slate has no slot, before anything is read; None if it may have one."""
        if draft.constraints.switch != "on":
            return f"no generated item: {draft.constraints.switch}"
        if self._kill_switch.is_thrown():
            return "no generated item: kill_file"
        test = self.settings.test
        if test is not None:
            draft.experiment = test.experiment.salt
            draft.bucket = test.experiment.bucket(draft.request.user_id)
            if draft.bucket in test.without_slot:
                return f"no generated item: the user is in bucket {draft.bucket}"
        return None

    def _guarded(self, draft: Draft) -> Slate:
        request = draft.request
        try:
            return self._stages.complete(draft)
        except NoSlot as why:
            return self._own_slate(draft, str(why))
        except PigeonError as exc:
            told = without_user(exc, request.user_id)
            logger.warning("request %s: %s failed: %s", request.request_id, draft.stage, told)
            return self._own_slate(draft, f"no generated item: {public_text(exc)}")
        except Exception as exc:
            logger.exception("request %s: %s failed", request.request_id, draft.stage)
            return self._own_slate(
                draft, f"no generated item: {draft.stage} failed with {type(exc).__name__}"
            )

    def _log(self, draft: Draft, slate: Slate, allowed_ms: float | None, total_ms: float) -> None:
        """Log the decision; a log that fails costs the caller nothing."""
        if self.parts.log is None:
            return
        try:
            decision = decision_of(draft, slate, self._versions, allowed_ms, total_ms)
            self.parts.log.write([decision])
        except Exception:
            logger.exception("request %s: its decision is not logged", slate.request_id)

    def _own_slate(self, draft: Draft, reason: str) -> Slate:
        """Return the caller's slate, or popular items where the request brings none."""
        request = draft.request
        items = draft.items or request.candidates or self._popular(request.slate_size)
        own = blend(
            Candidates(items),
            [],
            BlendRequest(request.user_id, request.request_id, request.slate_size),
            replace(draft.constraints, order="as_given"),
        )
        return Slate(request.request_id, request.user_id, own.placements, reason)

    def _popular(self, count: int) -> tuple[ScoredItem, ...]:
        try:
            return tuple(self.parts.catalog.popular(count))
        except Exception:
            logger.exception("the catalog does not tell what is popular")
            return ()

    def _described(self, generation: Generation, _: int = 0) -> GeneratedItem:
        """Return what was made as an item that is in no store. Raises `GenerationError`."""
        if self.parts.safety is not None:
            check_safe(generation.pixels, self.parts.safety)
        return GeneratedItem(
            item_id=generation.item_id,
            image="",
            embedding=self.parts.embedder.embed([generation.pixels])[0],
            job_key="",
            reason="request",
            provenance=generation.provenance,
        )


@lru_cache(maxsize=KEPT_CONSTRAINTS)
def _by_score(constraints: BlendConstraints) -> BlendConstraints:
    """Return the same constraints on candidates by score; checking them takes its time."""
    return replace(constraints, order="by_score")
