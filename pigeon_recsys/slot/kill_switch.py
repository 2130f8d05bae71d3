"""A kill switch for processes that run: a file, and while it exists no slate has a slot.

In:  the file's path, and the time.
Out: whether the switch is thrown, looked up at most once in `LOOK_S`.

Whoever can write a file can throw it, at three at night and without a restart, for all processes
that read the same settings. The file should lie on a local disk: a request waits for the look.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

LOOK_S = 1.0


class KillSwitch:
    """Threads may share it; without a path it is never thrown."""

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._is_thrown = False
        self._looked_at = clock() - LOOK_S

    def is_thrown(self) -> bool:
        """Say whether the file exists; where nobody can tell, what was so before still holds."""
        if self._path is None:
            return False
        now = self._clock()
        if now - self._looked_at < LOOK_S:
            return self._is_thrown
        self._looked_at = now
        try:
            is_thrown = self._path.exists()
        except OSError as exc:
            logger.warning("kill switch: cannot look for %s: %s", self._path, exc)
            return self._is_thrown
        if is_thrown != self._is_thrown:
            logger.warning("kill switch: %s", "thrown" if is_thrown else "no longer thrown")
        self._is_thrown = is_thrown
        return is_thrown
