"""Connections to a socket that several event loops accept from."""

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from importlib.util import find_spec
from typing import cast

import pytest

from pigeon_recsys_connectors.http_service import fair_accepting
from pigeon_recsys_connectors.http_service.fair_accepting import FairAccepting

WAIT_S = 30.0
LOOPS = [asyncio.new_event_loop]
if find_spec("uvloop"):  # which uvicorn takes where it is
    LOOPS.append(import_module("uvloop").new_event_loop)


class Worker:
    """An event loop in a thread that accepts from a shared socket and echoes."""

    def __init__(
        self,
        listener: socket.socket,
        make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> None:
        self.transports: set[asyncio.Transport] = set()
        self._listener = listener
        self._ready, self._loop = threading.Event(), make_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    @property
    def num_open(self) -> int:
        return len(self.transports)

    def stop_accepting(self) -> None:
        asyncio.run_coroutine_threadsafe(self._accepting.stop(), self._loop).result(WAIT_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())

    async def _end(self) -> None:
        await self._accepting.stop()
        for each in list(self.transports):
            each.abort()
        while self.transports:
            await asyncio.sleep(0)

    async def _start(self) -> None:
        self._accepting = FairAccepting(self._listener, lambda: _Echo(self), lambda: self.num_open)
        self._accepting.start()


class _Echo(asyncio.Protocol):
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, and no subclass
        self._worker.transports.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._worker.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as found:
        found.setblocking(False)
        yield found


@pytest.fixture
def stack(listener: socket.socket) -> Iterator[ExitStack]:
    """Return what is closed before the listener is."""
    with ExitStack() as found:
        yield found


def workers_of(
    stack: ExitStack,
    listener: socket.socket,
    count: int,
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> list[Worker]:
    found = [Worker(listener, make_loop) for _ in range(count)]
    for each in found:
        stack.callback(each.stop)
    return found


def connected(stack: ExitStack, listener: socket.socket, count: int) -> list[socket.socket]:
    """Return connections, opened at once, that have all been answered."""
    found = [
        stack.enter_context(socket.create_connection(listener.getsockname(), WAIT_S))
        for _ in range(count)
    ]
    for number, each in enumerate(found):
        each.sendall(b"%d" % number)
    for number, each in enumerate(found):
        assert each.recv(16) == b"%d" % number
    return found


@pytest.mark.parametrize("make_loop", LOOPS)
@pytest.mark.parametrize("count", [8, 64, 256])
def test_workers_share_connections_that_come_at_once(
    stack: ExitStack,
    listener: socket.socket,
    count: int,
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    workers = workers_of(stack, listener, 2, make_loop)
    connected(stack, listener, count)
    assert sum(each.num_open for each in workers) == count
    assert min(each.num_open for each in workers) >= count // 4


def test_a_worker_that_comes_later_gets_what_comes_then(
    stack: ExitStack, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = workers_of(stack, listener, 1)
    connected(stack, listener, 60)
    monkeypatch.setattr(fair_accepting, "STEP_S", 0.02)  # longer than a busy machine's hiccups
    (new,) = workers_of(stack, listener, 1)
    for _ in range(8):
        connected(stack, listener, 1)
        time.sleep(0.12)  # until the old one has looked in vain
    assert (old.num_open, new.num_open) == (60, 8)


def test_stops_accepting_and_keeps_what_is_open(stack: ExitStack, listener: socket.socket) -> None:
    first, second = workers_of(stack, listener, 2)
    (kept,) = connected(stack, listener, 1)
    (owner, other) = (first, second) if first.num_open else (second, first)
    owner.stop_accepting()
    connected(stack, listener, 5)
    assert (owner.num_open, other.num_open) == (1, 5)
    kept.sendall(b"still")
    assert kept.recv(16) == b"still"


class _FullOnce:
    """A socket whose first accept finds no file to open."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.num_refused = 0

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        if not self.num_refused:
            self.num_refused += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listener.accept()


def test_waits_where_no_more_files_can_be_opened(
    stack: ExitStack,
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(fair_accepting, "FULL_WAIT_S", 0.05)
    full = _FullOnce(listener)
    worker = Worker(full)  # type: ignore[arg-type]  # as much of a socket as is used
    stack.callback(worker.stop)
    with caplog.at_level(logging.WARNING):
        connected(stack, listener, 1)
    assert full.num_refused == 1
    assert "Too many open files" in caplog.text


@pytest.mark.parametrize("make_loop", LOOPS)
def test_what_is_accepted_is_open_once_it_stops(
    listener: socket.socket, make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Whoever stops tells open connections to end; one that opened later it would wait for."""
    opened: list[asyncio.BaseTransport] = []
    lost = asyncio.Event()

    class Opened(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            opened.append(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

    async def stop_at_once() -> None:
        accepting = FairAccepting(listener, Opened, lambda: len(opened))
        accepting._accept()
        assert not opened
        await accepting.stop()
        assert len(opened) == 1
        opened[0].close()
        await lost.wait()

    with (
        asyncio.Runner(loop_factory=make_loop) as runner,
        socket.create_connection(listener.getsockname(), WAIT_S),
    ):
        runner.run(stop_at_once())
