"""The newest slates of this process with all that led to them, for people who ask why."""

import threading
from collections import OrderedDict

from pigeon_recsys.records import Slate
from pigeon_recsys.slot.draft import Draft

MAX_SLATES = 200


class RecentSlates:
    """Bounded and in memory; threads may share it."""

    def __init__(self, max_slates: int = MAX_SLATES) -> None:
        self._max_slates = max_slates
        self._slates: OrderedDict[str, tuple[Draft, Slate]] = OrderedDict()
        self._lock = threading.Lock()
        self._num_forgotten = 0

    @property
    def epoch(self) -> int:
        """Changes whenever a user is forgotten."""
        return self._num_forgotten

    def add(self, draft: Draft, slate: Slate, epoch: int) -> None:
        """Keep a slate; a request that comes again replaces its earlier one.

        One that began in another epoch is left out: its user may have been forgotten since.
        """
        with self._lock:
            if epoch != self._num_forgotten:
                return
            self._slates.pop(slate.request_id, None)
            self._slates[slate.request_id] = draft, slate
            if len(self._slates) > self._max_slates:
                self._slates.popitem(last=False)

    def of_request(self, request_id: str) -> tuple[Draft, Slate] | None:
        """Return one slate and its draft, None if it is not known or was too long ago."""
        with self._lock:
            return self._slates.get(request_id)

    def newest(self, limit: int) -> list[tuple[Draft, Slate]]:
        """Return slates, newest first."""
        with self._lock:
            return list(self._slates.values())[: -limit - 1 : -1]

    def forget(self, user_id: str) -> int:
        """Drop a user's slates; return how many they were."""
        with self._lock:
            self._num_forgotten += 1
            found = [key for key, (_, slate) in self._slates.items() if slate.user_id == user_id]
            for key in found:
                del self._slates[key]
            return len(found)
