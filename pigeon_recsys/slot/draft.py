"""A slate in the making: what is known so far, and how long each stage took.

The thread that makes a slate writes it, the thread that waits for it reads it. So a request whose
time is up can still say how far it came.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
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

    @contextmanager
    def doing(self, stage: str) -> Iterator[None]:
        """Name and time a stage."""
        self.stage = stage
        started = time.perf_counter()
        try:
            yield
        finally:
            self.times_ms[stage] = (time.perf_counter() - started) * 1000
