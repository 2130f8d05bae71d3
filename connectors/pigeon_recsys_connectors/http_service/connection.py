"""One connection of a client that may be slow, or send without end.

uvicorn's protocol bounds how long a connection idles between requests; this adds bounds on the
head of a request, in time and bytes, and on what still comes in once a request is answered.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 32_768
HEAD_TIMEOUT_S = 10.0
LINGER_S = 2.0  # for a client that has not sent all of a request to read the answer


class BoundedConnection(HttpToolsProtocol):
    """A connection that is closed where its client takes too long or sends too much."""

    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience: TimerHandle | None = None
        self._is_in_head = True
        self._num_head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request, not for ever."""
        super().connection_made(transport)
        self._close_in(self.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._wait_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that does not end is refused."""
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._num_head_bytes += len(data)
            if self._num_head_bytes > MAX_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Bound the time of the head."""
        super().on_message_begin()
        self._close_in(self.head_timeout_s)

    def on_headers_complete(self) -> None:
        """The head is there; the application bounds the time of the body."""
        self._is_in_head = False
        self._wait_on()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there; what comes next is a head."""
        self._is_in_head, self._num_head_bytes = True, 0
        self._wait_on()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Let a client that still sends read the answer, then close."""
        still_comes = self.cycle.more_body
        super().on_response_complete()
        if still_comes:
            self._close_in(LINGER_S)

    def _close_in(self, seconds: float) -> None:
        self._wait_on()
        self._patience = self.loop.call_later(seconds, self._give_up)

    def _wait_on(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
