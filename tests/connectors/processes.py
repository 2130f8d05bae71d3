"""Processes that tests talk to, and may kill.

They are forked from a server that has imported Feast once, which takes seconds on a busy machine.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

ANSWER_TIMEOUT_S = 180.0  # the first answer waits for the import

PRELOADED = (  # Feast imports what a repository names when it is opened
    "pigeon_recsys_connectors.feast_history",
    "feast.infra.offline_stores.dask",
    "feast.infra.online_stores.redis",
    "feast.infra.online_stores.sqlite",
    "feast.infra.passthrough_provider",
    "feast.infra.registry.file",
    "feast.repo_operations",
    "faiss",
    "tests.connectors.faults.workers",
)

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(list(PRELOADED))


@dataclass(frozen=True)
class Running:
    """A process at work, and this end of the pipe to it."""

    process: ForkServerProcess
    pipe: "Connection[object, object]"

    def answer(self) -> object:
        """Return what the process sends next."""
        assert self.pipe.poll(ANSWER_TIMEOUT_S), f"{self.process} says nothing"
        return self.pipe.recv()


@contextmanager
def running(work: Callable[..., None], *arguments: object) -> Iterator[Running]:
    """Call `work(pipe, *arguments)` in a process, which is killed at the end if it still runs."""
    ours, theirs = FORKING.Pipe()
    process = FORKING.Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()  # so that our end learns of the end of the process
    try:
        yield Running(process, ours)
    finally:
        process.kill()
        process.join()
        ours.close()
