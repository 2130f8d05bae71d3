"""The best generated picture that the time left allows.

In:  a task, a deadline.
Out: generated items to offer, the rung they came from, and why higher rungs were left out.

    fresh       made in full: the sweep over reference-mask ratios, all steps
    few_steps   made at one ratio in fewer steps
    redraw      another picture of preference tokens that are cached: decoding alone
    stored      pictures made earlier, on events or by requests that could not wait
    catalog     none

Going down, a rung is tried if it is expected to end in time, and is given up when it does not.
What a rung given up makes after all is kept for the next request, so no work is wasted.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from pigeon_recsys.bounded_pool import BoundedPool, OutOfTime, PoolBusy, PoolClosed
from pigeon_recsys.deadline import Deadline
from pigeon_recsys.errors import GenerationError, PigeonError, SettingsError, public_text
from pigeon_recsys.generation.user_items import NUM_NEWEST
from pigeon_recsys.hashed_ids import without_user
from pigeon_recsys.ports import GeneratedItemStore, ImageGenerator, LadderedGenerator
from pigeon_recsys.records import GeneratedItem, Generation, GenerationTask, Reference

logger = logging.getLogger(__name__)

# Stores a picture that was begun at a time, epoch milliseconds, and says what was stored.
Keep = Callable[[Generation, int], GeneratedItem]
GatherTask = Callable[[], GenerationTask]

FORGIVING = 0.02  # of a slow picture's mark, at each request that it kept from trying
NEWEST_WEIGHT = 0.2  # of the last picture in how long the next is expected to take


class Rung(StrEnum):
    """Where a picture came from, the best first."""

    FRESH = "fresh"
    FEW_STEPS = "few_steps"
    REDRAW = "redraw"
    STORED = "stored"
    CATALOG = "catalog"


EXPECTED_MS: Mapping[Rung, float] = MappingProxyType(
    {Rung.FRESH: 5000.0, Rung.FEW_STEPS: 1000.0, Rung.REDRAW: 300.0}
)


@dataclass(frozen=True)
class LadderSettings:
    """Which rungs a request may take, and what to expect of them."""

    rungs: tuple[Rung, ...] = (Rung.FRESH, Rung.FEW_STEPS, Rung.REDRAW, Rung.STORED)
    expected_ms: Mapping[Rung, float] = field(default_factory=dict)  # first guesses of one's own
    workers: int = 1  # pictures made at once; under a deadline, one that finds none free goes down
    reserve_ms: float = 10.0  # kept for what comes after: ranking and blending
    num_stored: int = 5  # newest stored pictures offered

    def __post_init__(self) -> None:
        faults = [f"ladder.rungs holds {rung} twice" for rung in self._repeated()]
        if Rung.CATALOG in self.rungs:
            faults.append("ladder.rungs holds catalog, which always is the last one: leave it out")
        for name, least in (("workers", 1), ("num_stored", 1), ("reserve_ms", 0)):
            if not getattr(self, name) >= least:
                faults.append(f"ladder.{name} must be {least} or more, got {getattr(self, name)}")
        if self.num_stored > NUM_NEWEST:
            faults.append(f"ladder.num_stored must be at most {NUM_NEWEST}, got {self.num_stored}")
        faults += [
            f"ladder.expected_ms.{rung} must be above 0, got {value}"
            for rung, value in self.expected_ms.items()
            if not value > 0
        ]
        if faults:
            raise SettingsError("; ".join(faults))

    def _repeated(self) -> list[Rung]:
        return [rung for rung in Rung if self.rungs.count(rung) > 1]


@dataclass(frozen=True)
class Found:
    """What the ladder has for a request."""

    rung: Rung
    items: tuple[GeneratedItem, ...] = ()  # to offer, the newest first
    generation: Generation | None = None  # of the item, where it was made for this request
    passed: Mapping[Rung, str] = field(default_factory=dict)  # rungs left out, and why

    @property
    def reason(self) -> str:
        """Why higher rungs were left out, as one line."""
        return "; ".join(f"{rung}: {why.rstrip('.')}" for rung, why in self.passed.items())


class Ladder:
    """Serves many threads at once. `close` ends what is being made."""

    def __init__(
        self,
        generator: ImageGenerator | None,
        keep: Keep,
        stored: GeneratedItemStore | None = None,
        settings: LadderSettings | None = None,
    ) -> None:
        self.settings = settings or LadderSettings()
        self._generator = generator
        self._keep = keep
        self._stored = stored
        self._pool = BoundedPool(self.settings.workers, "generation")
        self._expected_ms = {**EXPECTED_MS, **self.settings.expected_ms}
        self._first_ms = dict(self._expected_ms)
        self._rungs = [rung for rung in self.settings.rungs if self._has(rung)]

    def best(
        self,
        user_id: str,
        asked: Reference | None,
        gather: GatherTask,
        deadline: Deadline,
        begun_ms: int,
    ) -> Found:
        """Return what the highest rung in reach offers; `gather` is called if one is made.

        The request began at `begun_ms`, before the history was read: what is made of the history
        of a user who is erased since is not kept.
        """
        passed: dict[Rung, str] = {}
        task = _Once(gather)
        for rung in self._rungs:
            try:
                if rung is Rung.STORED:
                    return Found(rung, self._of_store(user_id, asked), None, passed)
                if not task.has_failed:
                    item, generation = self._made_in_time(rung, task, deadline, begun_ms)
                    return Found(rung, (item,), generation, passed)
            except PigeonError as exc:
                if (told := public_text(exc)) != str(exc):
                    logger.warning("rung %s: %s", rung, without_user(exc, user_id))
                passed[rung] = told
        return Found(Rung.CATALOG, passed=passed)

    def close(self) -> None:
        """Start nothing new, and do not wait for what is being made."""
        self._pool.close()

    def _has(self, rung: Rung) -> bool:
        """Say whether what a rung needs is configured."""
        if rung is Rung.STORED:
            return self._stored is not None
        if rung is Rung.FRESH:
            return self._generator is not None
        return isinstance(self._generator, LadderedGenerator)

    def _of_store(self, user_id: str, asked: Reference | None) -> tuple[GeneratedItem, ...]:
        """Return the user's newest pictures; of a reference that was asked for, only its own."""
        assert self._stored is not None
        found = self._stored.of_user(user_id, self.settings.num_stored)
        fitting = [item for item in found if asked in (None, item.provenance.reference)]
        if not fitting:
            what = f"{len(found)} of other references" if found else "none"
            raise GenerationError(f"of the user's pictures there are {what}.")
        return tuple(fitting)

    def _made_in_time(
        self, rung: Rung, gather: GatherTask, deadline: Deadline, begun_ms: int
    ) -> tuple[GeneratedItem, Generation]:
        reserve_ms, expected_ms = self.settings.reserve_ms, self._expected_ms[rung]
        if not deadline.allows(expected_ms, reserve_ms):
            self._hope_again(rung)
            left_ms = (deadline.left_s(reserve_ms) or 0.0) * 1000
            raise GenerationError(f"takes {expected_ms:.0f} ms, {left_ms:.0f} ms are left.")
        try:
            return self._pool.run(
                lambda: self._make(rung, gather, deadline, begun_ms), deadline, reserve_ms
            )
        except PoolBusy as exc:
            raise GenerationError(f"all {self._pool.size} workers are busy.") from exc
        except PoolClosed as exc:
            raise GenerationError("the slot is closed.") from exc
        except OutOfTime as exc:
            raise GenerationError("did not end in time; what it makes is kept for later.") from exc

    def _hope_again(self, rung: Rung) -> None:
        """Bring what is expected back towards the first guess, so that one slow picture passes."""
        expected_ms, first_ms = self._expected_ms[rung], self._first_ms[rung]
        self._expected_ms[rung] += FORGIVING * (min(expected_ms, first_ms) - expected_ms)

    def _make(
        self, rung: Rung, gather: GatherTask, deadline: Deadline, begun_ms: int
    ) -> tuple[GeneratedItem, Generation]:
        """Make a picture and keep it. Raises `PigeonError`, whatever the model raises."""
        started = deadline.clock()
        try:
            generation = self._generation(rung, gather())
            item = self._keep(generation, begun_ms)
        except PigeonError:
            raise
        except Exception as exc:
            logger.exception("the generator failed")
            raise GenerationError(f"the generator failed with {type(exc).__name__}.") from exc
        took_ms = (deadline.clock() - started) * 1000
        before_ms = self._expected_ms[rung]
        self._expected_ms[rung] = before_ms + NEWEST_WEIGHT * (took_ms - before_ms)
        return item, generation

    def _generation(self, rung: Rung, task: GenerationTask) -> Generation:
        generator = self._generator
        assert generator is not None
        if not isinstance(generator, LadderedGenerator) or rung is Rung.FRESH:
            return _only(generator.generate([task]))
        if rung is Rung.FEW_STEPS:
            return _only(generator.quick([task]))
        redrawn = generator.redraw(task)
        if redrawn is None:
            raise GenerationError("no preference tokens are cached for this history and reference.")
        return redrawn


class _Once:
    """Gathers a task when it is first needed, for all rungs."""

    def __init__(self, gather: GatherTask) -> None:
        self._gather = gather
        self._task: GenerationTask | None = None
        self.has_failed = False

    def __call__(self) -> GenerationTask:
        if self._task is None:
            self.has_failed = True
            self._task = self._gather()
            self.has_failed = False
        return self._task


def _only(made: Sequence[Generation]) -> Generation:
    if len(made) != 1:
        raise GenerationError(f"the generator returned {len(made)} pictures for one task.")
    return made[0]
