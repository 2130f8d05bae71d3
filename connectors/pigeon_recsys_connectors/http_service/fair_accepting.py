"""Accepts connections on a socket that several workers share, each of them about as many.

In:  the shared socket, and how many connections the worker has.
Out: connections, handed to the event loop.

An event loop that hears of new connections takes all that wait, so that of eight kept-alive
connections, opened at once, one worker may get all and another none, for as long as they live.
Here a worker waits the longer the more connections it has, and then takes few: whoever has fewer
comes first. With n connections it waits for log2(n + 1) milliseconds and takes an eighth of n.
"""

import asyncio
import logging
import socket
from collections.abc import Callable

logger = logging.getLogger(__name__)

STEP_S = 0.001  # what event loops can tell apart
FULL_WAIT_S = 1.0  # after which the process may have files to open again


class FairAccepting:
    """Accepts connections for one worker, from `start` to `stop`, in a running event loop."""

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        num_open: Callable[[], int],
    ) -> None:
        self._listener = listener
        self._make_protocol = make_protocol
        self._num_open = num_open
        self._loop = asyncio.get_running_loop()
        self._wait: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Accept from now on. The socket must not block."""
        self._loop.add_reader(self._listener.fileno(), self._let_others_first)

    async def stop(self) -> None:
        """Accept nothing more, and open what is accepted; the socket stays open."""
        self._loop.remove_reader(self._listener.fileno())
        if self._wait is not None:
            self._wait.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)  # each ends by itself

    def _let_others_first(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        steps = (self._connections() + 1).bit_length() - 1
        self._wait = self._loop.call_later(steps * STEP_S, self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(max(1, self._connections() // 8)):
                self._open(self._listener.accept()[0])
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass  # another worker was faster, or the client is gone
        except OSError as exc:  # no more files can be opened
            logger.warning("cannot accept connections: %s", exc)
            self._wait = self._loop.call_later(FULL_WAIT_S, self.start)
            return
        self.start()

    def _open(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        opening = self._loop.create_task(self._opened(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _opened(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError as exc:
            logger.debug("a connection ended before it began: %s", exc)
            connection.close()

    def _connections(self) -> int:
        return self._num_open() + len(self._opening)
