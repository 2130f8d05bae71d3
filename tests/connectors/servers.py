"""Real Redis and Postgres servers for tests, in temporary folders on free loopback ports.

They end with the test run, also with one that is killed where util-linux can see to it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 60.0  # takes 1 s on a free core
STOP_TIMEOUT_S = 20.0
POLL_S = 0.05
POSTGRES_USER = "postgres"  # who runs it where we are root, which Postgres refuses
DEBIAN_POSTGRES = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Redis:
    """A running Redis."""

    address: str

    def client(self) -> "redis.Redis":
        """Return a connection of one's own."""
        host, port = self.address.split(":")
        return redis.Redis(host=host, port=int(port))


@dataclass(frozen=True)
class Postgres:
    """A running Postgres; `USER` may do anything, and no password is asked for."""

    port: int

    def connect(self) -> "psycopg.Connection":
        """Return a connection of one's own."""
        return psycopg.connect(
            host=LOOPBACK, port=self.port, user=POSTGRES_USER, dbname="postgres", autocommit=True
        )


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Start a Redis without persistence; stop it at the end."""
    program = _find("redis-server", debian_package="redis-server")
    port = _free_port()
    options = ["--bind", LOOPBACK, "--save", "", "--appendonly", "no", "--daemonize", "no"]
    server = Redis(f"{LOOPBACK}:{port}")
    with _folder() as folder:
        command = _command(program, "--port", str(port), "--dir", str(folder), *options)
        with _running(command, folder, lambda: server.client().ping()):
            yield server


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Make an empty Postgres, start it and stop it at the end."""
    programs = sorted(DEBIAN_POSTGRES.glob("*/bin"), key=lambda path: float(path.parent.name))
    path = os.pathsep.join([*map(str, programs[-1:]), os.environ.get("PATH", "")])
    initdb, postgres = (_find(name, "postgresql", path) for name in ("initdb", "postgres"))
    server = Postgres(_free_port())
    with _folder() as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, POSTGRES_USER, POSTGRES_USER)
        data = folder / "data"
        options = ["--auth=trust", f"--username={POSTGRES_USER}", "--encoding=UTF8", "--no-sync"]
        prepare = _command(initdb, "-D", str(data), *options, as_user=POSTGRES_USER)
        subprocess.run(prepare, check=True, capture_output=True, cwd=folder)
        listening = ["-p", str(server.port), "-h", LOOPBACK, "-k", str(folder)]
        cheap = ["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=40"]
        command = _command(*(postgres, "-D", str(data), *listening, *cheap), as_user=POSTGRES_USER)
        with _running(command, folder, lambda: server.connect().close()):
            yield server


def _find(program: str, debian_package: str, path: str | None = None) -> str:
    found = shutil.which(program, path=path)
    if found is None:
        pytest.fail(
            f"needs {program}. On Debian: apt-get install --no-install-recommends "
            f"{debian_package}; or: make test, which installs it.",
            pytrace=False,
        )
    return found


def _command(program: str, *options: str, as_user: str | None = None) -> list[str]:
    """Return a command that ends with us, as another user's where we are root."""
    setpriv = shutil.which("setpriv")
    identity = []
    if as_user is not None and os.geteuid() == 0:
        setpriv = _find("setpriv", debian_package="util-linux")
        identity = [f"--reuid={as_user}", f"--regid={as_user}", "--init-groups"]
    guard = [setpriv, *identity, "--pdeathsig=INT"] if setpriv else []
    return [*guard, program, *options]


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder that another user can be given; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="pigeon-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(command: list[str], folder: Path, probe: Callable[[], object]) -> Iterator[None]:
    """Start a server, wait until it answers the probe, and stop it at the end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        _wait(process, log, probe)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # on SIGTERM Postgres would wait for its clients
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", log: Path, probe: Callable[[], object]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(redis.ConnectionError, psycopg.OperationalError):
            probe()
            return
        time.sleep(POLL_S)
    pytest.fail(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")
