"""A worker's life: steps until it is told to stop or nothing has come for a while.

SIGTERM and Ctrl-C end it after the batch in hand: within one poll, or one store write and one
transaction. What hangs for longer, a store that neither answers nor refuses, is left after a
limit. A second signal ends the process at once; nothing is lost by either.
"""

import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any, TypeVar

from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.event_log import EventLog
from pigeon_recsys.streaming.observation import SILENT, Observer

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5  # for a log that failed; doubled each time
LONGEST_WAIT_S = 15.0
STOP_LIMIT_S = 50.0  # a store's lock, a transaction and closing may take 48 s together

Log = TypeVar("Log", bound=EventLog)
Done = TypeVar("Done")  # false where nothing was done


@contextmanager
def stop_on_signals(limit_s: float | None = None) -> Iterator[threading.Event]:
    """Yield an event that the first SIGTERM or SIGINT sets; the second acts as it always does.

    With a limit, the process ends then, with exit code 1, if the block still has not.
    """
    stop = threading.Event()
    timer = threading.Timer(limit_s or 0.0, _end_at_once, [limit_s])
    timer.daemon = True
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()
        if limit_s is not None:
            timer.start()
        _restore(before)

    for each in before:
        signal.signal(each, on_signal)
    try:
        yield stop
    finally:
        timer.cancel()
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


def work_on_log(
    open_log: Callable[[], Log],
    step_on: Callable[[Log], Callable[[], Done]],
    stop: threading.Event,
    idle_s: float | None = None,
    observer: Observer = SILENT,
) -> Iterator[Done]:
    """Make steps on a log; where it fails, open it anew after a wait, as often as it takes.

    `step_on` makes a worker, which starts from what the log says. The first opening must succeed:
    a wrong address is no failure that passes. What is loaded by now is taken to stay: collections
    of garbage that looked through Feast's modules each time would take a quarter of ingest's time.
    """
    gc.collect()
    gc.freeze()
    was_open, wait_s = False, FIRST_WAIT_S
    while not stop.is_set():
        try:
            with closing(open_log()) as log:
                step, was_open = step_on(log), True
                for done in run_steps(step, stop, idle_s):
                    wait_s = FIRST_WAIT_S
                    yield done
                return
        except LogError as exc:
            if not was_open:
                raise
            logger.warning("the log failed, next try in %.1f s: %s", wait_s, exc)
            observer.log_failed("failed")
            observer.waited(wait_s)
            stop.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def _end_at_once(limit_s: float) -> None:
    logger.error(
        "something still hangs %g s after the signal to stop, so this process ends as it is. "
        "Nothing is lost: what was not committed is read again.",
        limit_s,
    )
    os._exit(1)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
