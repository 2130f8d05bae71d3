"""Workers as an orchestrator runs them: started, killed, replaced, stopped.

They are forked from a server that has imported Feast once, which takes seconds on a busy machine.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from tests.connectors.faults.plant import Plant
from tests.connectors.faults.workers import ROLES
from tests.connectors.processes import FORKING

STOP_S = 10.0  # from SIGTERM to the end of a worker, on a busy machine


@dataclass
class Worker:
    """A process at work."""

    role: str
    process: ForkServerProcess
    pipe: Connection
    num_held: int = 0  # partitions, as it told last
    told: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, role: str, plant: Plant) -> "Worker":
        """Fork a worker; it is not a daemon, since its generator is a process too."""
        ours, theirs = FORKING.Pipe()
        process = FORKING.Process(target=ROLES[role], args=(theirs, plant), daemon=False)
        process.start()
        theirs.close()  # so that our end learns of the end of the process
        return cls(role, process, ours)

    def __str__(self) -> str:
        return f"{self.role} worker {self.process.pid}"

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is stopped."""
        return self.process.is_alive()

    def listen(self) -> "Worker":
        """Take in what it has told."""
        try:
            while self.pipe.poll():
                told = self.pipe.recv()
                if isinstance(told, int):
                    self.num_held = told
                else:
                    self.told.append(str(told))
        except (EOFError, OSError):
            self.num_held = 0
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """End it at once, also while it is stopped."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def stop(self, limit_s: float = STOP_S) -> float:
        """End it by SIGTERM, in good order and in time; return the seconds that took."""
        started_s = time.monotonic()
        self.signal(signal.SIGTERM)
        self.process.join(limit_s)
        assert not self.is_alive, f"{self} has not ended {limit_s:g} s after SIGTERM"
        assert self.process.exitcode == 0, f"{self} ended with exit code {self.process.exitcode}"
        self.pipe.close()
        return time.monotonic() - started_s


class Crew:
    """The workers of a plant."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.workers: list[Worker] = []

    def hire(self, *roles: str) -> list[Worker]:
        """Start a worker of each role."""
        hired = [Worker.start(role, self.plant) for role in roles]
        self.workers += hired
        return hired

    def of(self, role: str) -> list[Worker]:
        """Return the workers of a role."""
        return [worker.listen() for worker in self.workers if worker.role == role]

    def replace(self, chance: random.Random, role: str | None = None) -> Worker:
        """Kill a worker, any or one of a role, and start another in its place."""
        place, worker = chance.choice(
            [each for each in enumerate(self.workers) if role in (None, each[1].role)]
        )
        worker.kill()
        self.workers[place] = Worker.start(worker.role, self.plant)
        return worker

    def replace_ended(self) -> int:
        """Start another worker for each that has ended by itself; return how many had."""
        ended = [place for place, worker in enumerate(self.workers) if not worker.is_alive]
        for place in ended:
            self.workers[place].kill()
            self.workers[place] = Worker.start(self.workers[place].role, self.plant)
        return len(ended)

    def lose(self, worker: Worker) -> None:
        """Kill a worker and start no other."""
        self.workers.remove(worker)
        worker.kill()

    def dismiss(self, worker: Worker, limit_s: float = STOP_S) -> float:
        """Stop a worker in good order."""
        self.workers.remove(worker)
        return worker.stop(limit_s)

    def check_alive(self) -> None:
        """Fail if a worker has ended by itself."""
        for worker in self.workers:
            assert worker.is_alive, f"{worker} ended by itself, code {worker.process.exitcode}"

    def stop(self, limit_s: float = STOP_S) -> float:
        """Stop all in good order; return the longest time that took."""
        self.check_alive()
        return max(self.dismiss(worker, limit_s) for worker in list(self.workers))


@contextmanager
def crew(plant: Plant, *roles: str) -> Iterator[Crew]:
    """Yield workers of these roles; those that are left are killed at the end."""
    found = Crew(plant)
    try:
        found.hire(*roles)
        yield found
    finally:
        for worker in found.workers:
            worker.kill()
