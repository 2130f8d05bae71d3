"""The other workers of a service, asked for pages that this one does not know.

In:  a folder with a Unix socket of each worker, named by its process.
Out: the page of the first that knows it; where each worker's own list of slates is.

A worker remembers the slates that it made itself, and a browser's next connection may reach another
one. The folder is the service's own, so that nobody else can connect; keys are asked for as ever.
"""

import http.client
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import Response

logger = logging.getLogger(__name__)

ASKED = "x-pigeon-asked-by-worker"  # a request that must not be passed on once more
PASSED_ON = ("authorization", "host")  # of the headers of a request
TIMEOUT_S = 5.0
MAX_PAGE = 64 * 2**20  # bytes
OK = 200


@dataclass(frozen=True)
class Siblings:
    """The workers beside this one; without a folder there are none."""

    folder: Path | None = None

    def listen(self) -> socket.socket | None:
        """Return a socket on which the others ask this worker."""
        if self.folder is None:
            return None
        path = self._socket(os.getpid())
        path.unlink(missing_ok=True)  # of a process that is gone, and had the same number
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        return listener

    def others(self) -> list[int]:
        """Return the processes of the other workers, as numbers, some of which may be gone."""
        if self.folder is None:
            return []
        found = [int(path.stem) for path in self.folder.glob("*.sock") if path.stem.isdecimal()]
        return sorted(set(found) - {os.getpid()})

    def page(self, target: str, headers: Mapping[str, str]) -> Response | None:
        """Return the page that another worker has at a path, None where none has one."""
        if ASKED in headers:
            return None
        for pid in self.others():
            if (answer := self.page_of(pid, target, headers)) is not None:
                return answer
        return None

    def page_of(self, pid: int, target: str, headers: Mapping[str, str]) -> Response | None:
        """Return a worker's page, None where it has none or is gone."""
        if pid not in self.others() or ASKED in headers:
            return None
        passed = {name: headers[name] for name in PASSED_ON if name in headers}
        connection = _UnixConnection(self._socket(pid))
        try:
            connection.request("GET", target, headers={**passed, ASKED: "1"})
            answer = connection.getresponse()
            content = answer.read(MAX_PAGE + 1)
        except (OSError, http.client.HTTPException) as exc:
            logger.debug("worker %d does not answer: %s", pid, exc)
            return None
        finally:
            connection.close()
        if answer.status != OK or len(content) > MAX_PAGE:
            return None
        return Response(content, OK, _headers(answer))

    def _socket(self, pid: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{pid}.sock"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def _headers(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers that a page has, without those of the connection."""
    dropped = {"content-length", "date", "connection", "server"}
    return {name: value for name, value in answer.getheaders() if name.lower() not in dropped}
