"""Who may do what, and how often: API keys with scopes, a rate for each key.

In:  a request's header `Authorization: Bearer KEY`.
Out: the key, or a `Problem`: 401 without a known key, 403 without the scope, 429 beyond the rate.
"""

import math
import threading
import time
from collections.abc import Callable

from fastapi import Request

from pigeon_recsys.service.api_keys import SCOPES, ApiKey, Keyring
from pigeon_recsys_connectors.http_service.problems import Problem
from pigeon_recsys_connectors.http_service.settings import HttpSettings

SCHEME = "bearer"
CHALLENGE = 'Bearer realm="pigeon-recsys"'
ANYBODY = ApiKey("anybody", "", frozenset(SCOPES))  # where the settings hold no keys


class Access:
    """Lets requests in; threads may share it."""

    def __init__(self, settings: HttpSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.keyring = Keyring([key.to_record() for key in settings.keys])
        self._buckets = {
            name: TokenBucket(settings.rate_per_s, settings.burst, clock)
            for name in (*(key.name for key in settings.keys), ANYBODY.name)
        }

    def check(self, request: Request, scope: str) -> ApiKey:
        """Return the key of a request that may be served. Raises `Problem`."""
        return self.admit(self._presented(request), scope)

    def admit(self, presented: str | None, scope: str) -> ApiKey:
        """Return the key that was presented, if it allows `scope` now. Raises `Problem`."""
        key = self._known(presented)
        wait_s = self._buckets[key.name].take()
        if wait_s:
            headers = {"Retry-After": str(math.ceil(wait_s))}
            raise Problem("too-many-requests", "The key's rate is used up.", headers=headers)
        if scope not in key.scopes:
            challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            raise Problem(
                "forbidden",
                f"The key has no scope {scope!r}.",
                headers={"WWW-Authenticate": challenge},
            )
        return key

    def _known(self, presented: str | None) -> ApiKey:
        if not self.keyring:
            return ANYBODY
        key = None if presented is None else self.keyring.find(presented)
        if key is None:
            told = "Send a known key in the header Authorization: Bearer KEY."
            raise Problem("unauthorized", told, headers={"WWW-Authenticate": CHALLENGE})
        return key

    def _presented(self, request: Request) -> str | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == SCHEME else None


class TokenBucket:
    """`burst` requests at once, `rate_per_s` in the long run; threads may share it."""

    def __init__(self, rate_per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._counted_at = clock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take one request and return 0, or the seconds to wait for one."""
        with self._lock:
            now = self._clock()
            grown = (now - self._counted_at) * self._rate_per_s
            self._left = min(self._burst, self._left + grown)
            self._counted_at = now
            if self._left >= 1:
                self._left -= 1
                return 0.0
            return (1 - self._left) / self._rate_per_s
