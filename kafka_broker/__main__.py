"""`make kafka`: run a broker until Ctrl-C or SIGTERM, and say how to use it; or for one command."""

import argparse
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

from kafka_broker.broker import Broker
from kafka_broker.cluster import VARIABLE, open_cluster
from kafka_broker.errors import BrokerError
from kafka_broker.jars import kafka_jars

NUM_PORTS = 2**16
ADDRESS = "{}"  # in a command to run
USE = """\
PIGEON_KAFKA={address}

A Kafka broker answers there, without encryption and for this machine only. To use it from
another terminal:
    export PIGEON_KAFKA={address}
Tests and benchmarks then take it instead of starting one. It keeps nothing: Ctrl-C ends it and
removes its data. It logs to {log}
"""


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Leave by KeyboardInterrupt, once: a second signal must not disturb the stop."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def port_number(text: str) -> int:
    """Parse a port for argparse."""
    if not (text.isdecimal() and 0 < int(text) < NUM_PORTS):
        raise argparse.ArgumentTypeError(f"a port is 1 to {NUM_PORTS - 1}, got {text!r}")
    return int(text)


def run(port: int | None) -> None:
    """Run a broker until a signal ends it."""
    with Broker.start(port) as broker:
        print(USE.format(address=broker.bootstrap, log=broker.log), flush=True)
        broker.wait()


def run_command(command: Sequence[str]) -> int:
    """Run a command beside a broker, whose address stands for `{}`, and return its exit code."""
    with open_cluster() as cluster:
        given = [part.replace(ADDRESS, cluster.bootstrap) for part in command]
        return subprocess.run(given, check=False).returncode


def main(argv: Sequence[str] | None = None) -> int:
    """Run one broker and return the exit code: 0 stopped by a signal, 1 failed, 2 bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m kafka_broker", description="Run a Kafka broker for development."
    )
    parser.add_argument("--port", type=port_number, help="listen here, not on a free port")
    parser.add_argument(
        "--fetch-only", action="store_true", help="fetch the broker's jars and start nothing"
    )
    parser.add_argument(
        "--run",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help=f"run a command with a broker, or with that of {VARIABLE}; {ADDRESS} is its address",
    )
    args = parser.parse_args(argv)
    logging.basicConfig(format="kafka: %(message)s")
    logging.getLogger("kafka_broker").setLevel(logging.INFO)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, interrupt)
    try:
        if args.fetch_only:
            kafka_jars(os.environ)
        elif args.run:
            return run_command(args.run)
        else:
            run(args.port)
    except BrokerError as exc:
        print(f"kafka: {exc}", file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        print("kafka: stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
