"""The servers that tests start: named when they are missing, and gone when the tests are."""

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import redis

from tests.connectors import servers
from tests.connectors.processes import running
from tests.connectors.servers import postgres_server, redis_server


@pytest.mark.parametrize(
    ("server", "program", "package"),
    [
        (redis_server, "redis-server", "redis-server"),
        (postgres_server, "initdb", "postgresql"),
    ],
)
def test_a_missing_server_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    server: Callable[[], AbstractContextManager[object]],
    program: str,
    package: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(servers, "DEBIAN_POSTGRES", tmp_path)
    fault = f"needs {program}. On Debian: apt-get install --no-install-recommends {package}; "
    with pytest.raises(pytest.fail.Exception, match=fault), server():
        pytest.fail("it started all the same")


def start_redis(pipe: "Connection[object, object]", folder: Path) -> None:
    """Start a server with its data below `folder` and tell where, then wait to be killed."""
    tempfile.tempdir = str(folder)
    with redis_server() as server:
        pipe.send(server)
        pipe.recv()


def answers(server: servers.Redis) -> bool:
    """Say whether the server is still there."""
    try:
        return bool(server.client().ping())
    except redis.ConnectionError:
        return False


def test_a_server_ends_with_a_killed_run(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("needs util-linux's setpriv. On Debian: apt-get install util-linux")
    with running(start_redis, tmp_path) as run:
        server = run.answer()
        assert isinstance(server, servers.Redis)
        assert answers(server)
        run.process.kill()
        run.process.join()
        deadline = time.monotonic() + servers.STOP_TIMEOUT_S
        while answers(server) and time.monotonic() < deadline:
            time.sleep(servers.POLL_S)
        assert not answers(server)
