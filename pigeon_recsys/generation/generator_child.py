"""The life of a process that holds a generator and nothing else.

In:  on a pipe: a function that makes the generator, then calls.
Out: on the same pipe: the generator's version, then an answer a call, or what went wrong.

`generator_process` starts it and talks to it; the pipe reaches nobody else.
"""

import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from pigeon_recsys.errors import PigeonError

logger = logging.getLogger(__name__)

PARENT_LOOK_S = 1.0  # how often the process looks whether its parent lives


@dataclass(frozen=True, slots=True)
class Call:
    """One method of the generator, to be called in the process."""

    method: str
    argument: object


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in the process."""

    text: str

    def __str__(self) -> str:
        return self.text


def main() -> None:
    """Serve on the pipe that the command line names: its file descriptor, and the parent's id."""
    descriptor, parent = map(int, sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to a group, they are for the parent,
        signal.signal(number, signal.SIG_IGN)  # which works on for a while and then ends this one
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    with Connection(descriptor) as pipe:
        serve(pipe)


def serve(pipe: "Connection[Any, Any]") -> None:
    """Load the generator and answer calls until the other end is gone."""
    try:
        generator = pipe.recv()()
        version = generator.version
    except EOFError:
        return
    except Exception as exc:
        pipe.send(_told(exc, "load"))
        return
    pipe.send(version)
    while True:
        try:
            call: Call = pipe.recv()
        except EOFError:
            return
        answer: object
        try:
            answer = getattr(generator, call.method)(call.argument)
        except Exception as exc:
            answer = _told(exc, call.method)
        pipe.send(answer)


def _told(exc: Exception, step: str) -> Failure:
    """Return an error as it can travel: ours by its message, any other with its type.

    Ours are not logged here: they may name a user, and the parent knows which.
    """
    if isinstance(exc, PigeonError):
        return Failure(str(exc))
    logger.error("the generator's %s failed", step, exc_info=exc)
    return Failure(f"{type(exc).__name__}: {exc}")


def _end_with(parent: int) -> None:
    """End this process once its parent is gone, also in the middle of a picture."""
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    os._exit(1)
