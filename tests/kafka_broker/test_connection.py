"""Addresses at which no Kafka broker answers."""

import socket
import threading

import pytest

from kafka_broker import connection
from kafka_broker.connection import connect, takes_requests
from kafka_broker.errors import BrokerError
from kafka_broker.ports import free_port


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerError) as caught:
        connect(address)
    assert str(caught.value) == (
        f"no Kafka broker listens at {address} (Connection refused). "
        "Start one there, or name the address of one."
    )
    assert not takes_requests(address)


def test_something_else_than_a_broker_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up_on_everybody, args=[server], daemon=True).start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BrokerError, match=f"what listens at {address} does not answer as a Ka"):
            connect(address)


def hang_up_on_everybody(server: socket.socket) -> None:
    """Accept connections and close them, until the server itself is closed."""
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return
