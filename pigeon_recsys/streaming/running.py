"""A worker's life: steps until it is told to stop or nothing has come for a while.

SIGTERM and Ctrl-C end it after the batch in hand: within one poll, or one store write and one
transaction. A second signal ends the process at once; nothing is lost by that either.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

Done = TypeVar("Done")  # false where nothing was done


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first SIGTERM or SIGINT sets; the second acts as it always does."""
    stop = threading.Event()
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        _restore(before)

    for each in before:
        signal.signal(each, on_signal)
    try:
        yield stop
    finally:
        _restore(before)


def run_steps(
    step: Callable[[], Done], stop: threading.Event, idle_s: float | None = None
) -> Iterator[Done]:
    """Make steps and yield what was done, until stopped or `idle_s` passed with nothing done."""
    last_work = time.monotonic()
    while not stop.is_set():
        done = step()
        if done:
            last_work = time.monotonic()
            yield done
        elif idle_s is not None and time.monotonic() - last_work >= idle_s:
            return


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
