"""Processes of the service over one world that outlives them, with generators that tests hold."""

import threading
import time
from collections.abc import Callable, Sequence

from pigeon_recsys.errors import LogError
from pigeon_recsys.ports import ImageGenerator
from pigeon_recsys.records import Generation, GenerationTask, Reference
from pigeon_recsys.service.generation_making import PoolMaking
from pigeon_recsys.service.generations import Generations, Making, Ticket, Tickets
from pigeon_recsys.streaming.event_log import NewRecord
from pigeon_recsys.streaming.generated_messages import JsonGeneratedItems
from pigeon_recsys.streaming.job_queue import QueueSettings
from pigeon_recsys.streaming.making import ItemMaker
from pigeon_recsys.streaming.planning import Planner
from pigeon_recsys.testing.fakes import FakeGenerator
from tests.streaming.pipeline import World

CAT = Reference(text="a red cat")
DOG = Reference("item-05", "a dog")
IMPATIENT = QueueSettings(batch_size=1, max_attempts=2, first_wait_s=0.01, longest_wait_s=0.01)


class HeldGenerator(FakeGenerator):
    """Waits before each batch until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_working = threading.Event()
        self.let_go = threading.Event()

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        self.is_working.set()
        self.let_go.wait(30)
        return super().generate(tasks)


class Process:
    """One process of the service over a world that outlives it."""

    def __init__(self, world: World, making: Making | None = None) -> None:
        self.world = world
        self.now_s = 1_000.0
        self.tickets = Tickets(
            world.images, JsonGeneratedItems(), lost_after_s=60, now_s=lambda: self.now_s
        )
        planner = Planner(world.histories, world.catalog, world.index, "fake-1")
        self.making = making
        self.planner = planner

    def with_pool(self, generator: ImageGenerator | None = None, capacity: int = 8) -> Generations:
        maker = ItemMaker(generator or self.world.generator, self.world.stage)
        self.making = PoolMaking([maker], self.tickets, capacity, IMPATIENT)
        return self.generations()

    def generations(self) -> Generations:
        assert self.making is not None
        return Generations(self.planner, self.tickets, self.making, lambda: self.world.now_ms)


class Lines:
    """A writer that keeps records, or fails."""

    def __init__(self, world: World | None = None) -> None:
        self.records: list[NewRecord] = []
        self.fails = self.is_closed = False
        self._world = world

    def write(self, new: Sequence[NewRecord]) -> None:
        if self.fails:
            raise LogError("no broker answers")
        self.records += new
        if self._world is not None:
            self._world.topics.write(list(new))

    def close(self) -> None:
        self.is_closed = True


def ended(generations: Generations, ticket: Ticket) -> Ticket:
    """Wait for a ticket's end."""
    return wait_for(lambda: generations.status(ticket.ticket_id), "done", "failed")


def wait_for(ask: Callable[[], Ticket], *statuses: str) -> Ticket:
    deadline_s = time.monotonic() + 10
    while (found := ask()).status not in statuses:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.01)
    return found
