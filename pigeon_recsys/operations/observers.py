"""One worker, several listeners; and how often the log is asked for the lag.

In:  what a worker tells an `Observer`.
Out: the same, told to each of several observers.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from pigeon_recsys.errors import LogError
from pigeon_recsys.streaming.event_log import Place
from pigeon_recsys.streaming.observation import Observer

LAG_EVERY_S = 5.0  # it is a request to the brokers; Prometheus asks less often
TOLD = tuple(name for name in vars(Observer) if not name.startswith("_") and name != "stepped")

logger = logging.getLogger(__name__)


class Observers(Observer):
    """Tells each of several observers all that it is told, in their order."""

    def __init__(self, *observers: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self._observers = observers
        self._clock = clock
        self._lag: Mapping[Place, int] = {}
        self._asked_at: float | None = None
        for name in TOLD:
            setattr(self, name, partial(self._tell, name))

    def stepped(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        """Ask for the lag where it is time to; a log that cannot tell has failed."""
        if self._asked_at is None or self._clock() - self._asked_at >= LAG_EVERY_S:
            self._ask(lag)
            self._asked_at = self._clock()
        for observer in self._observers:
            observer.stepped(lambda: self._lag)

    def _ask(self, lag: Callable[[], Mapping[Place, int]]) -> None:
        try:
            self._lag = lag()
        except LogError as failed:
            logger.warning("the lag is not known: %s", failed)
            self._tell("log_failed", "failed")
        else:
            self._tell("log_worked")

    def _tell(self, name: str, *told: object, **named: object) -> None:
        """Pass a call on; what can be read once only is kept for all."""
        kept = [tuple(each) if isinstance(each, Iterator) else each for each in told]
        for observer in self._observers:
            getattr(observer, name)(*kept, **named)
