"""One Kafka broker, its own controller, in a temporary folder on loopback ports.

In:  Java and the broker's jars.
Out: `Broker`: an address that answers; kill it, bring it back on its data, stop it without trace.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from kafka_broker import guard
from kafka_broker.connection import takes_requests
from kafka_broker.errors import BrokerError
from kafka_broker.jars import kafka_jars
from kafka_broker.ports import LOOPBACK, check_free, free_port, is_listening
from kafka_broker.programs import find_java
from kafka_broker.properties import CLUSTER_ID, server_properties
from kafka_broker.secure_listener import SecureListener, scram_arguments

START_TIMEOUT_S = 120.0  # takes 4 s on a free core
STOP_TIMEOUT_S = 20.0  # a clean stop takes 1 s; after this the broker is killed
POLL_S = 0.05
NUM_LOG_LINES = 30  # in an error

JAVA_FLAGS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # starts on two thirds of the processor time
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # would leave a file outside the folder when killed
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",  # so that a log ends with the fault
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


@dataclass
class Broker:
    """A running broker; `with Broker.start() as broker` also stops it."""

    folder: Path
    java: Path
    jars: Path
    port: int
    controller_port: int
    watcher: subprocess.Popen[bytes]
    process: subprocess.Popen[bytes] | None = None
    secured: Sequence[SecureListener] = ()  # beside the plain listener on `port`

    @classmethod
    def start(
        cls,
        port: int | None = None,
        environment: Mapping[str, str] = os.environ,
        secured: Sequence[SecureListener] = (),
    ) -> Self:
        """Start a broker without data, on `port` or a free one; return when it answers."""
        if port is not None:
            check_free(port)
        java, jars = find_java(environment), kafka_jars(environment)
        ports = port or free_port(), free_port()
        folder = Path(tempfile.mkdtemp(prefix="pigeon-kafka-"))
        broker = cls(folder, java, jars, *ports, watch(folder), secured=secured)
        try:
            broker.format()
            broker.launch()
        except BaseException:
            broker.stop()
            raise
        return broker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The address clients take."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker has printed, over all its starts."""
        return self.folder / "broker.log"

    @property
    def properties(self) -> Path:
        """The broker's configuration."""
        return self.folder / guard.PROPERTIES

    def format(self) -> None:
        """Write the configuration and prepare the data folder."""
        self.properties.write_text(
            server_properties(self.folder, self.port, self.controller_port, self.secured)
        )
        self.process = self.run_java(
            *("kafka.tools.StorageTool", "format", f"--cluster-id={CLUSTER_ID}"),
            *("--config", str(self.properties), *scram_arguments(self.secured)),
        )
        try:
            code = self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired as exc:
            raise self.failed(f"did not prepare its folder within {START_TIMEOUT_S:.0f} s") from exc
        if code != 0:
            raise self.failed(f"could not prepare its folder (exit code {code})")

    def launch(self) -> None:
        """Start the server on its ports and data, and wait until it takes requests."""
        for port in (self.port, self.controller_port, *(each.port for each in self.secured)):
            check_free(port)
        self.process = self.run_java("kafka.Kafka", str(self.properties))
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (is_listening(self.port) and takes_requests(self.bootstrap)):
            code = self.process.poll()
            if code is not None:
                raise self.failed(f"ended with exit code {code} before it answered")
            if time.monotonic() > deadline:
                raise self.failed(f"did not answer within {START_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)

    def run_java(self, *command: str) -> subprocess.Popen[bytes]:
        """Start one of Kafka's programs; Ctrl-C in our terminal does not reach it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    *(str(self.java), *JAVA_FLAGS, f"-Djava.io.tmpdir={self.folder}"),
                    *("-cp", f"{self.jars}/*", *command),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def failed(self, fault: str) -> BrokerError:
        """Return the error for a fault of the broker, with the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-NUM_LOG_LINES:]
        return BrokerError(
            f"the Kafka broker on {self.bootstrap} {fault}. If a class is not found, delete "
            f"{self.jars} and it is fetched anew; if memory or time ran out, end other programs. "
            "Its log ends:\n" + "\n".join(f"  {line}" for line in lines)
        )

    def wait(self) -> None:
        """Wait until the broker ends by itself, and raise `BrokerError` then."""
        if self.process is not None:
            raise self.failed(f"ended with exit code {self.process.wait()}")

    def kill(self) -> None:
        """End the broker at once, by SIGKILL: a crash. Its data and ports stay for `restart`."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def terminate(self) -> None:
        """End the broker in good order, by SIGTERM, or by SIGKILL when that takes too long."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def restart(self) -> None:
        """Bring the broker back on the same ports and data, ending it first if it runs."""
        self.terminate()
        self.launch()

    def stop(self) -> None:
        """End the broker and remove its folder and all its processes; may be called twice.

        By SIGKILL: in good order it would first put in order, for 20 s with many partitions, what
        is removed right after.
        """
        try:
            self.kill()
        finally:
            guard.clean_up(self.folder)
            self.watcher.kill()  # it may not end by itself: a forked child holds our pipe open too
            self.watcher.communicate()


def watch(folder: Path) -> subprocess.Popen[bytes]:
    """Start the guard that cleans up when this process dies without doing so."""
    return subprocess.Popen(
        [sys.executable, "-I", guard.__file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
