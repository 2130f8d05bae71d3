"""Which generated pictures each user was shown lately: what frequency caps count.

In:  exposures.
Out: the newest showings of a user.

A process knows of what it is told. Where several serve one feed, each has to be told of all
exposures, or users have to come back to the same process; else a cap holds in each of them alone.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Sequence

from pigeon_recsys.ranking.blend_input import Shown

MAX_USERS = 100_000  # then whoever was shown nothing for longest is forgotten
MAX_SHOWN = 100  # newest showings of a user


class RecentlyShown:
    """Bounded and in memory; threads may share it."""

    def __init__(self, max_users: int = MAX_USERS) -> None:
        self._max_users = max_users
        self._shown: OrderedDict[str, deque[Shown]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, user_id: str, shown: Shown) -> None:
        """Count one showing; the same one again counts once."""
        with self._lock:
            of_user = self._shown.setdefault(user_id, deque(maxlen=MAX_SHOWN))
            if shown not in of_user:
                of_user.append(shown)
            self._shown.move_to_end(user_id)
            if len(self._shown) > self._max_users:
                self._shown.popitem(last=False)

    def of(self, user_id: str) -> Sequence[Shown]:
        """Return a user's newest showings, in the order they were told."""
        with self._lock:
            return tuple(self._shown.get(user_id, ()))

    def forget(self, user_id: str) -> int:
        """Drop what is known of a user; return how many showings it was."""
        with self._lock:
            return len(self._shown.pop(user_id, ()))
