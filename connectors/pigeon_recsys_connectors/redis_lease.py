"""A writer's lease in the Redis server that also holds the rows.

A key with a token and a time to live (SET NX PX): who finds it gone may set it, and only the
token's owner removes it. The lease is renewed right before a push, so that a writer that slept
longer than the lease writes nothing.

It is weaker than a lock. A writer that sleeps for the whole lease between that renewal and the
push may overwrite what another stored meanwhile, which it reports when it wakes; and a replica
promoted before it had the key gives the lease to a second writer. Where that is not acceptable,
use Postgres, or replay the events of the time in question: joining them again heals every loss.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from redis.exceptions import LockError
from redis.lock import Lock

from pigeon_recsys.errors import HistoryStoreError
from pigeon_recsys_connectors.writer_lock import WAIT_S, Check

LEASE_S = 10.0  # a batch takes a fraction of a second; longer, and a killed writer blocks longer
POLL_S = 0.005


class RedisLease:
    """A lease, the same for everyone who names the same server, database and rows."""

    def __init__(
        self,
        config: RedisOnlineStoreConfig,
        name: str,
        wait_s: float = WAIT_S,
        lease_s: float = LEASE_S,
    ) -> None:
        # Feast's way to connect, so that both always mean the same server.
        self._client = RedisOnlineStore()._get_client(config)
        self._key = f"{name}:writer"
        self._wait_s = wait_s
        self._lease_s = lease_s

    @contextmanager
    def held(self) -> Iterator[Check]:
        """Hold the lease; the end raises if it was lost meanwhile."""
        lease = Lock(self._client, self._key, timeout=self._lease_s, sleep=POLL_S)
        if not lease.acquire(blocking_timeout=self._wait_s):
            raise HistoryStoreError(
                f"other processes have held the lease {self._key!r} for {self._wait_s:g} s, so "
                "nothing was written. End the one that hangs, and repeat."
            )
        try:
            yield lambda: self._renew(lease)
        except BaseException:
            self._give_back(lease)
            raise
        if not self._give_back(lease):
            raise HistoryStoreError(
                f"the lease {self._key!r} of {self._lease_s:g} s ended during a push, which may "
                "have overwritten what another process stored meanwhile. Replay both's events."
            )

    def _renew(self, lease: Lock) -> None:
        try:
            lease.reacquire()
        except LockError as exc:
            raise HistoryStoreError(
                f"the lease {self._key!r} of {self._lease_s:g} s ended before the push, so "
                "nothing was written. Repeat it."
            ) from exc

    def _give_back(self, lease: Lock) -> bool:
        """Remove the key if it is still ours, and say whether it was."""
        try:
            lease.release()
        except LockError:
            return False
        return True
