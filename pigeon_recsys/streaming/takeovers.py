"""Jobs that other workers left in hand: which go to the pool at once, which one alone, which not.

In:  keys of jobs as they are found, and how often each has been taken over.
Out: the keys whose turn it is.

A job may end whoever makes it: it takes all memory, or crashes a library. Its partition goes to
another worker then, which would be ended too, and so on for ever. So takeovers are counted in the
user's state, before the job goes to the pool. A worker that dies leaves several jobs, of which one
may be at fault: those that were taken over some times are tried one after the other, so that the
count of the others stands still. Workers also go for reasons of their own, so it takes many.
"""

from collections.abc import Mapping, Sequence

TRUSTED = 2  # takeovers until a job waits for its turn to be tried alone among such jobs
MOST = 10  # takeovers until a job is given up


class Takeovers:
    """Jobs that were found in hand and are in the pool not yet. One thread uses it."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._on_trial: str | None = None

    def found(self, keys: Sequence[str]) -> None:
        """Queue jobs, also those that were due before: the pool has them no more."""
        self._waiting += [key for key in keys if key not in self._waiting]
        if self._on_trial in keys:
            self._on_trial = None

    def due(self, counts: Mapping[str, int]) -> list[str]:
        """Return the jobs to take over now.

        `counts` tells of every job in hand how often it was taken over before; others are gone.
        """
        waiting = [key for key in self._waiting if key in counts]
        due = [key for key in waiting if counts[key] < TRUSTED]
        suspects = [key for key in waiting if counts[key] >= TRUSTED]
        if self._on_trial not in counts:
            self._on_trial = suspects.pop(0) if suspects else None
            due += [self._on_trial] if self._on_trial else []
        self._waiting = suspects
        return due
