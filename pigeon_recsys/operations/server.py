"""The small HTTP server through which a worker shows how it is.

    GET /healthz   200 alive, 503 to be restarted     JSON: status, problems
    GET /readyz    200 ready, 503 not ready           JSON: status, problems
    GET /metrics   200                                Prometheus' text format

It answers in threads of its own, few at a time and with a time limit each, so that nobody who
asks can hold up the worker. It has no authentication: bind it where only your own systems ask.
"""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.operations.health import Problem, Watchdog
from pigeon_recsys.operations.metrics import StreamMetrics

LOOPBACK = "127.0.0.1"
MAX_ANSWERS = 8  # at a time; a connection beyond is closed
TIMEOUT_S = 5.0  # for one request to come in, and for each write
NUM_PORTS = 2**16

logger = logging.getLogger(__name__)
Answer = tuple[HTTPStatus, str, bytes]  # with the content type


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `:PORT` or `PORT`. Raises `SettingsError`."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < NUM_PORTS):
        raise SettingsError(
            f"--operations must be HOST:PORT or PORT, got {text!r}. "
            f"Try {LOOPBACK}:9464, or port 0 for a free one."
        )
    return host.strip("[]") or LOOPBACK, int(port)


@contextmanager
def serving(address: str, watchdog: Watchdog, metrics: StreamMetrics) -> Iterator[str]:
    """Serve in a thread while the block runs, and yield the address, with the real port."""
    host, port = parse_address(address)
    answers = {
        "/healthz": lambda: _verdict(watchdog.alive()),
        "/readyz": lambda: _verdict(watchdog.ready()),
        "/metrics": lambda: (HTTPStatus.OK, metrics.content_type, metrics.exposition()),
    }
    try:
        server = _Server((host, port), answers)
    except OSError as exc:
        raise SettingsError(
            f"cannot listen at {address}: {exc.strerror or exc}. Choose another --operations."
        ) from exc
    thread = threading.Thread(target=server.serve_forever, name="operations", daemon=True)
    thread.start()
    where = f"{host}:{server.server_address[1]}"
    logger.info("operations: http://%s/healthz /readyz /metrics", where)
    try:
        yield where
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _verdict(problems: list[Problem]) -> Answer:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
    now_s = time.time()
    told = {
        "status": "failing" if problems else "ok",
        "problems": [problem.as_json(now_s) for problem in problems],
    }
    return status, "application/json", (json.dumps(told) + "\n").encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, at: tuple[str, int], answers: dict[str, Callable[[], Answer]]) -> None:
        self.answers = answers
        self._free = threading.BoundedSemaphore(MAX_ANSWERS)
        if ":" in at[0]:
            self.address_family = socket.AF_INET6
        super().__init__(at, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a request from %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = TIMEOUT_S
    server_version, sys_version = "pigeon-recsys", ""
    server: _Server

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND, "Try /healthz, /readyz or /metrics")
            return
        status, content_type, body = answer()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)
