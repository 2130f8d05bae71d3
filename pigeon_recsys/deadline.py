"""How long a request may still take."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_WAIT_S = 1e6  # beyond some years a wait cannot be told to the system
Clock = Callable[[], float]  # seconds, never going back


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on a clock."""

    ends_s: float  # infinity for no limit
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, milliseconds: float | None, clock: Clock = time.monotonic) -> "Deadline":
        """Return the deadline so many milliseconds from now; None never ends."""
        if milliseconds is None:
            return cls(math.inf, clock)
        return cls(clock() + milliseconds / 1000, clock)

    def left_s(self, reserve_ms: float = 0.0) -> float | None:
        """Return the seconds left, less a reserve, as waits take them: None without a limit."""
        if self.ends_s == math.inf:
            return None
        left_s = self.ends_s - self.clock() - reserve_ms / 1000
        return min(LONGEST_WAIT_S, max(0.0, left_s))

    def allows(self, milliseconds: float, reserve_ms: float = 0.0) -> bool:
        """Say whether something that takes so long would end in time."""
        left = self.left_s(reserve_ms)
        return left is None or milliseconds / 1000 <= left
