"""Ports: free, out of the way of clients, and an error that tells who holds one."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafka_broker import ports
from kafka_broker.errors import BrokerError
from kafka_broker.ports import check_free, free_port, is_listening


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def client_ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file in which the kernel tells which ports clients connect from."""
    file = tmp_path / "ip_local_port_range"
    monkeypatch.setattr(ports, "PORTS_OF_CLIENTS", file)
    return file


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()
    assert not is_listening(port)
    check_free(port)


def test_a_port_is_outside_the_range_that_clients_connect_from(client_ports: Path) -> None:
    client_ports.write_text("20100\t60999\n")
    assert all(20_000 <= free_port() < 20_100 for _ in range(20))


def test_where_clients_use_every_port_the_kernel_chooses(client_ports: Path) -> None:
    client_ports.write_text("1024\t65535\n")
    assert free_port() >= 1024


def test_no_free_port_is_an_error(monkeypatch: pytest.MonkeyPatch, client_ports: Path) -> None:
    client_ports.write_text("32768\t60999\n")
    monkeypatch.setattr(ports, "is_free", lambda _: False)
    with pytest.raises(BrokerError, match="no free port between 20000 and 32768 in 100 tries. End"):
        free_port()


def test_a_taken_port_is_refused_with_the_way_to_find_who_has_it(taken: int) -> None:
    assert is_listening(taken)
    with pytest.raises(BrokerError) as caught:
        check_free(taken)
    assert str(caught.value) == (
        f"port {taken} is taken by another program. End that program (ss -ltnp 'sport = {taken}' "
        "names it), or leave the port out and get a free one."
    )
