"""Loopback ports for a broker that must come back on the same ones after it was killed."""

import random
import socket
from pathlib import Path

from kafka_broker.errors import BrokerError

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 20_000
PORTS_OF_CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
NUM_TRIES = 100


def free_port() -> int:
    """Return a port on which nothing listens, outside the range clients connect from.

    Inside it, a client that waits for a killed broker would sooner or later be given the
    broker's own port to connect from, reach itself, and keep the broker from coming back.
    """
    lowest_of_clients = int(PORTS_OF_CLIENTS.read_text().split()[0])
    if lowest_of_clients < LOWEST_PORT + NUM_TRIES:
        return port_of_kernel()
    draw = random.SystemRandom()  # not the global one: tests seed that alike in every process
    for _ in range(NUM_TRIES):
        port = draw.randrange(LOWEST_PORT, lowest_of_clients)
        if is_free(port):
            return port
    raise BrokerError(
        f"found no free port between {LOWEST_PORT} and {lowest_of_clients} in {NUM_TRIES} tries. "
        "End some of the programs that listen there."
    )


def port_of_kernel() -> int:
    """Return whatever free port the kernel chooses."""
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port now."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def is_listening(port: int) -> bool:
    """Say whether something accepts connections on this port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def check_free(port: int) -> None:
    """Raise `BrokerError` when something else has this port."""
    if not is_free(port):
        raise BrokerError(
            f"port {port} is taken by another program. End that program "
            f"(ss -ltnp 'sport = {port}' names it), or leave the port out and get a free one."
        )
