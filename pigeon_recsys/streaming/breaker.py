"""A breaker: after some failures in a row nothing is tried for a while, then one try decides.

Pure logic: the time comes from the caller.
"""

from dataclasses import dataclass

from pigeon_recsys.errors import SettingsError


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """How much failure is enough, and how long to wait after it."""

    failures: int = 5  # in a row
    wait_s: float = 30.0

    def __post_init__(self) -> None:
        if self.failures < 1 or not self.wait_s > 0:
            raise SettingsError(
                f"breaker: failures must be at least 1 and wait_s above 0, got {self.failures} "
                f"and {self.wait_s}."
            )


class Breaker:
    """Closed: everything is tried. Open: nothing. Half open: one try, which closes or opens it."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0  # in a row
        self._open_until_s: float | None = None
        self._is_trying = False  # while half open

    @property
    def is_open(self) -> bool:
        """Whether it waits for a try that succeeds."""
        return self._open_until_s is not None

    def may_try(self, now_s: float) -> bool:
        """Say whether a try may be made now; half open, the first to ask makes it."""
        if self._open_until_s is None:
            return True
        if now_s < self._open_until_s or self._is_trying:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        """Close it."""
        self._failures = 0
        self._open_until_s = None
        self._is_trying = False

    def said_nothing(self) -> None:
        """Take a try back that told nothing of what is protected here."""
        self._is_trying = False

    def failed(self, now_s: float) -> None:
        """Count a failure, and open it where that was one too many."""
        self._failures += 1
        if self._is_trying or self._failures >= self._settings.failures:
            self._open_until_s = now_s + self._settings.wait_s
        self._is_trying = False
