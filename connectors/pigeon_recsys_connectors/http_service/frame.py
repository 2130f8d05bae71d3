"""What every request passes through, whatever it asks for: the outermost layer of the application.

refuse      a foreign Host; more requests than may be in hand
answer      security headers; a failure nobody expected becomes 500 with an id, told in the log
note        metrics by route, and one line of the access log, with users as hashed words
"""

import logging
import time
import uuid
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pigeon_recsys_connectors.http_service.http_metrics import HttpMetrics
from pigeon_recsys_connectors.http_service.problems import RETRY_S, Problem
from pigeon_recsys_connectors.http_service.settings import HttpSettings

logger = logging.getLogger(__name__)
access = logging.getLogger("pigeon_recsys.http")

UNROUTED = "(none)"
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
HEALTH = ("/healthz", "/readyz")  # asked by machines that know an address alone, under any load
HEADERS = {  # unless an answer says otherwise
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


class Lifecycle:
    """Whether the worker is about to stop."""

    def __init__(self) -> None:
        self.is_draining = False


class Frame:
    """ASGI middleware."""

    def __init__(
        self, app: ASGIApp, settings: HttpSettings, metrics: HttpMetrics, lifecycle: Lifecycle
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in settings.hosts)
        self._max_requests = settings.max_requests
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._num_in_hand = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, self._lifecycle)
        started = time.perf_counter()
        self._num_in_hand += 1
        self._metrics.in_hand(1)
        try:
            await self._serve(scope, receive, answer)
        finally:
            self._num_in_hand -= 1
            self._metrics.in_hand(-1)
            self._note(scope, answer.status, time.perf_counter() - started)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            self._check(scope)
            await self._app(scope, receive, answer.send)
        except Problem as problem:
            await problem.response()(scope, receive, answer.send)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception:
            error_id = str(uuid.uuid4())
            logger.exception("error %s: a request to %s failed", error_id, _route(scope))
            if answer.status is None:
                told = f"The service's log tells more under {error_id}."
                failure = Problem("internal-error", told, more={"error_id": error_id})
                await failure.response()(scope, receive, answer.send)

    def _check(self, scope: Scope) -> None:
        if scope["path"] in HEALTH:
            return
        if self._num_in_hand > self._max_requests:
            told = f"{self._max_requests} requests are in hand already. Send it again."
            raise Problem("unavailable", told, headers={"Retry-After": str(RETRY_S)})
        if self._hosts and _host(scope) not in self._hosts:
            raise Problem("bad-host", "Call the service by a name that http.allowed_hosts lists.")

    def _note(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = _route(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.answered(route, method, status or 0, seconds)
        if access.isEnabledFor(logging.INFO):
            noted: dict[str, Any] = scope.get("state", {}).get("noted", {})
            fields = {"route": route, "method": method, "status": status, **noted}
            access.info("request", extra={**fields, "ms": round(seconds * 1000, 2)})


class _Answer:
    """Passes an answer on, with the headers it lacks; remembers its status."""

    def __init__(self, send: Send, lifecycle: Lifecycle) -> None:
        self._send = send
        self._lifecycle = lifecycle
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", []))
            given = {name.lower() for name, _ in headers}
            headers += [each for each in HEADERS.items() if each[0] not in given]
            if self._lifecycle.is_draining:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        await self._send(message)


def _route(scope: Scope) -> str:
    """Return the route's path as declared, which names nobody."""
    route = scope.get("route")
    return str(getattr(route, "path_format", UNROUTED))


def _host(scope: Scope) -> str:
    """Return the name in the header Host, without the port."""
    host = Headers(scope=scope).get("host", "").lower()
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
