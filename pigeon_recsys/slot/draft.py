"""A slate in the making: what is known so far, and how long each stage took.

The thread that makes a slate writes it, the thread that waits for it reads it. So a request whose
time is up can still say how far it came.
"""

import time
from dataclasses import dataclass, field

from pigeon_recsys.deadline import Deadline
from pigeon_recsys.generation.ladder import Found, Rung
from pigeon_recsys.ranking.blend import Blend
from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.ranking.exploration import SlotChoice
from pigeon_recsys.ranking.scoring import Ranked
from pigeon_recsys.records import History, ScoredItem, Slate, SlotRequest


@dataclass
class Draft:
    """Everything one request came to, filled in from top to bottom."""

    request: SlotRequest
    constraints: BlendConstraints
    deadline: Deadline
    at_ms: int  # epoch milliseconds, UTC
    experiment: str = ""  # the salt of the slot's test
    bucket: str = ""  # that the test puts the user in
    stage: str = "waiting for a thread"
    times_ms: dict[str, float] = field(default_factory=dict)  # by stage, in their order
    history: History | None = None
    items: tuple[ScoredItem, ...] = ()  # the request's candidates, or those retrieved
    found: Found = field(default_factory=lambda: Found(Rung.CATALOG))
    ranked: Ranked | None = None  # candidates and pictures
    context: dict[str, float] = field(default_factory=dict)  # what the policy saw
    choice: SlotChoice | None = None  # None: nothing was left to choose
    blended: Blend | None = None

    def became(self, slate: Slate) -> bool:
        """Say whether a slate is what the last stage made, and not one given in its place."""
        return self.blended is not None and slate.placements is self.blended.placements

    def doing(self, stage: str) -> "_Timed":
        """Name and time a stage, in a `with`."""
        self.stage = stage
        return _Timed(self.times_ms, stage)


class _Timed:
    """Writes down how long a `with` took; a generator would take longer than some stages."""

    __slots__ = ("_stage", "_started", "_times_ms")

    def __init__(self, times_ms: dict[str, float], stage: str) -> None:
        self._times_ms = times_ms
        self._stage = stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._times_ms[self._stage] = (time.perf_counter() - self._started) * 1000
