"""The process that starts the workers, carries their news, and replaces those that die.

In:  how to open the service, and settings.
Out: a served address, until SIGTERM or Ctrl-C; every worker has then ended, in a stated time.

Workers share one listening socket, are started afresh rather than forked, and open the service
themselves: nothing that holds threads or connections is ever copied. The first ones must open it,
or nothing is served. One that dies later is replaced, after a wait that doubles while they keep
dying.
"""

import json
import logging
import multiprocessing
import os
import select
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from pigeon_recsys.errors import PigeonError, SettingsError
from pigeon_recsys.streaming.running import stop_on_signals
from pigeon_recsys_connectors import METRIC_VARIABLES
from pigeon_recsys_connectors.http_service.http_metrics import forget_worker
from pigeon_recsys_connectors.http_service.settings import (
    HttpSettings,
    check_may_bind,
    read_http_settings,
)
from pigeon_recsys_connectors.http_service.worker import (
    FAILED,
    READY,
    OpenService,
    WorkerTask,
    work,
)

logger = logging.getLogger(__name__)

BACKLOG = 2_048  # connections that wait to be accepted
LOOK_S = 0.2  # between two looks at a signal that came
KILL_AFTER_S = 5.0  # beyond what a worker allows itself: closing logs and stores
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STEADY_S = 60.0  # a worker that lived so long does not count as one that keeps dying


class WorkerFailed(PigeonError):
    """A worker could not open the service; the message says why."""


def serve(
    open_service: OpenService,
    section: dict[str, Any],
    *,
    insecure: bool = False,
    log_format: str = "text",
    log_level: int = logging.WARNING,
    on_ready: Callable[[str], None] = lambda url: None,
) -> dict[str, Any]:
    """Serve until stopped, and say what happened. `section` is `http` of the settings file.

    Raises `SettingsError`, and `WorkerFailed` where the service cannot be opened.
    """
    settings = read_http_settings(section)
    check_may_bind(settings, insecure)
    with (
        _listening(settings) as listener,
        tempfile.TemporaryDirectory(prefix="pigeon-metrics-") as folder,
        stop_on_signals() as stop,
    ):
        task = WorkerTask(open_service, settings, Path(folder), log_format, log_level)
        workers = Workers(task, listener)
        try:
            workers.start(stop.is_set)
            if not stop.is_set():
                on_ready(_url(listener))
            while not stop.is_set():
                workers.look()
        finally:
            listener.close()  # or what comes now would wait for nobody
            workers.stop()
    return {"workers": settings.workers, "replaced": workers.num_replaced}


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: "Connection[bytes, bytes]"
    started_s: float
    is_ready: bool = False


class Workers:
    """The worker processes of one service."""

    def __init__(self, task: WorkerTask, listener: socket.socket) -> None:
        self.num_replaced = 0
        self._task = task
        self._listener = listener
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._wait_s, self._start_at = FIRST_WAIT_S, 0.0

    def start(self, is_stopped: Callable[[], bool]) -> None:
        """Start all workers and wait until they serve. Raises `WorkerFailed`."""
        self._workers = [self._started() for _ in range(self._task.settings.workers)]
        while not all(each.is_ready for each in self._workers) and not is_stopped():
            for worker, failed in self._hear():
                raise failed or WorkerFailed(
                    f"a worker ended with code {worker.process.exitcode} before it served. "
                    "Its log says why."
                )

    def look(self) -> None:
        """Carry news for a moment, and replace workers that died."""
        if not self._workers:
            time.sleep(LOOK_S)
        for worker, failed in self._hear():
            pid = worker.process.pid or 0
            logger.warning("worker %d ended: %s", pid, failed or worker.process.exitcode)
            forget_worker(pid, self._task.metrics_folder)
            lived_s = time.monotonic() - worker.started_s
            longer_s = min(2 * self._wait_s, LONGEST_WAIT_S)
            self._wait_s = FIRST_WAIT_S if lived_s >= STEADY_S else longer_s
            self._start_at = time.monotonic() + self._wait_s
        missing = self._task.settings.workers - len(self._workers)
        if missing and time.monotonic() >= self._start_at:
            self._workers += [self._started() for _ in range(missing)]
            self.num_replaced += missing

    def stop(self) -> None:
        """Stop all workers; one that takes longer than it may is killed."""
        settings = self._task.settings
        for worker in self._workers:
            worker.process.terminate()
        ends_s = time.monotonic() + settings.drain_s + settings.stop_s + KILL_AFTER_S
        while self._workers and time.monotonic() < ends_s:  # they still have news
            for _ in self._hear():
                pass
        for worker in self._workers:
            logger.warning("worker %s does not end and is killed", worker.process.pid)
            worker.process.kill()
            worker.process.join()

    def _started(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=work, args=(self._task, self._listener, theirs))
        with _environment(METRIC_VARIABLES, str(self._task.metrics_folder)):
            process.start()
        theirs.close()  # so that our end learns of the end of the process
        return _Worker(process, ours, time.monotonic())

    def _hear(self) -> Iterator[tuple[_Worker, WorkerFailed | None]]:
        """Take in what workers tell, for a moment; yield those that ended, and why."""
        ready = wait([worker.pipe for worker in self._workers], LOOK_S)
        for worker in [each for each in self._workers if each.pipe in ready]:
            try:
                message = worker.pipe.recv_bytes()
            except (EOFError, OSError):
                yield self._ended(worker), None
                continue
            if message == READY:
                worker.is_ready = True
            elif message.startswith(FAILED):
                yield self._ended(worker), _failure(message)
            else:
                self._carry(message, worker)

    def _ended(self, worker: _Worker) -> _Worker:
        self._workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        return worker

    def _carry(self, message: bytes, sender: _Worker) -> None:
        for worker in self._workers:
            if worker is not sender and worker.is_ready:
                if not _takes_more(worker.pipe):
                    logger.warning("worker %s hears no news and is killed", worker.process.pid)
                    worker.process.kill()  # and replaced
                    continue
                try:
                    worker.pipe.send_bytes(message)
                except OSError:
                    logger.debug("worker %s has ended and hears no news", worker.process.pid)


def _takes_more(pipe: "Connection[bytes, bytes]") -> bool:
    """Say whether a message can be sent without waiting for whoever reads."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))


def _failure(message: bytes) -> WorkerFailed:
    told, exit_code = json.loads(message.removeprefix(FAILED))
    failed = WorkerFailed(told)
    failed.exit_code = exit_code
    return failed


@contextmanager
def _listening(settings: HttpSettings) -> Iterator[socket.socket]:
    host = settings.host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, settings.port), family=family, backlog=BACKLOG)
    except OSError as exc:
        raise SettingsError(
            f"cannot listen at {settings.host}:{settings.port}: {exc.strerror or exc}. Choose "
            "another http.host or http.port."
        ) from exc
    with listener:
        listener.setblocking(False)
        yield listener


@contextmanager
def _environment(names: Sequence[str], value: str) -> Iterator[None]:
    """Set variables for processes that are started meanwhile.

    prometheus_client, and Feast, read them as they are imported.
    """
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, value))
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                del os.environ[name]
            else:
                os.environ[name] = old


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
