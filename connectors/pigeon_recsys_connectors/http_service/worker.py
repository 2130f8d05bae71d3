"""One worker process: opens the service, serves on a socket that all workers share, stops in time.

In:  how to open the service; a pipe to whoever started the worker.
Out: answers. On the pipe it tells when it is ready, or why it cannot be, and news for the other
     workers; it hears theirs.

SIGTERM starts the end: `/readyz` says so and answers ask for new connections while serving goes on
for `drain_s`; then nothing new is accepted, and requests in hand have `stop_s` to end. The end of
the pipe means that whoever started the worker is gone: that starts the end as well.
"""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import uvicorn

from pigeon_recsys.errors import PigeonError
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.service.worker_news import Tell
from pigeon_recsys_connectors.http_service.app import make_app
from pigeon_recsys_connectors.http_service.connection import BoundedConnection
from pigeon_recsys_connectors.http_service.fair_accepting import FairAccepting
from pigeon_recsys_connectors.http_service.frame import Lifecycle
from pigeon_recsys_connectors.http_service.http_metrics import HttpMetrics
from pigeon_recsys_connectors.http_service.settings import HttpSettings
from pigeon_recsys_connectors.http_viewer.routes import viewer_router
from pigeon_recsys_connectors.http_viewer.siblings import Siblings

logger = logging.getLogger(__name__)

OpenService = Callable[[Tell], SlotService]  # picklable: a function of a module, or a partial of it
READY, FAILED = b"ready", b"failed "  # what is told on the pipe and is no news


@dataclass(frozen=True)
class WorkerTask:
    """What a worker is to do; it travels to a process of its own."""

    open_service: OpenService
    settings: HttpSettings
    metrics_folder: Path
    log_format: str = "text"
    log_level: int = logging.WARNING


def work(task: WorkerTask, listener: socket.socket, pipe: "Connection[bytes, bytes]") -> None:
    """Serve until told to stop; the process ends with it."""
    for number in (signal.SIGTERM, signal.SIGINT):  # while the service opens: end at once
        signal.signal(number, lambda *_: os._exit(0))
    _set_logs(task)
    sender = _Sender(pipe)
    try:
        service = task.open_service(sender.send)
    except PigeonError as exc:
        told = json.dumps([str(exc), exc.exit_code])
        pipe.send_bytes(FAILED + told.encode())
        sys.exit(exc.exit_code)
    try:
        _serve(task, service, listener, pipe, sender)
    finally:
        service.close()


def _serve(
    task: WorkerTask,
    service: SlotService,
    listener: socket.socket,
    pipe: "Connection[bytes, bytes]",
    sender: "_Sender",
) -> None:
    settings, lifecycle = task.settings, Lifecycle()
    siblings = Siblings(task.metrics_folder if settings.viewer and settings.workers > 1 else None)
    pages = [partial(viewer_router, siblings=siblings)] if settings.viewer else []
    app = make_app(service, settings, HttpMetrics(task.metrics_folder), lifecycle, pages)
    BoundedConnection.head_timeout_s = settings.header_timeout_s
    config = uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=round(settings.keep_alive_s),
        timeout_graceful_shutdown=round(settings.stop_s),
    )
    server = _Server(config, lifecycle, settings.drain_s, lambda: sender.send(READY))
    threading.Thread(target=_listen, args=(pipe, service), name="news", daemon=True).start()
    gc.collect()
    gc.freeze()  # what is loaded stays; collections need not look through it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # which uvicorn raises again when it has ended
    asked = siblings.listen()
    server.run(sockets=[listener] if asked is None else [listener, asked])


class _Server(uvicorn.Server):
    """Shares connections with other workers, tells when it serves, goes on a while when to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        lifecycle: Lifecycle,
        drain_s: float,
        tell_ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_s = drain_s
        self._tell_ready = tell_ready
        self._accepting: list[FairAccepting] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup([])  # all but accepting
        connections = self.server_state.connections
        for listener in sockets or []:
            accepting = FairAccepting(listener, self._connection, lambda: len(connections))
            accepting.start()
            self._accepting.append(accepting)
        self._tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on for a while, then accept nothing new and let requests end."""
        self._lifecycle.is_draining = True
        await asyncio.sleep(self._drain_s)
        for accepting in self._accepting:
            await accepting.stop()  # then all that is open can be told to end
        await super().shutdown(sockets)

    def _connection(self) -> BoundedConnection:
        return BoundedConnection(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class _Sender:
    """Sends messages from many threads."""

    def __init__(self, pipe: "Connection[bytes, bytes]") -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, message: bytes) -> None:
        """Send a message; without anybody to read it, nothing is sent."""
        with self._lock:
            try:
                self._pipe.send_bytes(message)
            except OSError:
                logger.warning("the other workers cannot be told: the parent process is gone")


def _listen(pipe: "Connection[bytes, bytes]", service: SlotService) -> None:
    """Hear the other workers' news, until the parent process is gone."""
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)
            return
        try:
            service.hear(message)
        except Exception:
            logger.exception("another worker's news are not understood")


def _set_logs(task: WorkerTask) -> None:
    from pigeon_recsys.operations.structured_log import JsonFormatter

    logging.basicConfig(
        level=task.log_level, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    if task.log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())
