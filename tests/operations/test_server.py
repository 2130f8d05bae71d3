"""The worker's HTTP server: three pages, and nobody who asks can hold it up."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.operations import server
from pigeon_recsys.operations.health import Watchdog
from pigeon_recsys.operations.metrics import StreamMetrics
from pigeon_recsys.operations.server import MAX_ANSWERS, parse_address, serving

PLACE = ("interactions", 3)


@dataclass
class Served:
    """A worker's server."""

    address: str
    watchdog: Watchdog

    def get(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        with closing(http.client.HTTPConnection(self.address, timeout=5)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read().decode()


@pytest.fixture
def served() -> Iterator[Served]:
    watchdog = Watchdog()
    with serving("127.0.0.1:0", watchdog, StreamMetrics()) as address:
        yield Served(address, watchdog)


def test_health_is_served_as_json_with_a_status_code(served: Served) -> None:
    assert served.get("/healthz") == (
        200,
        "application/json",
        '{"status": "ok", "problems": []}\n',
    )
    status, _, text = served.get("/readyz")
    (problem,) = json.loads(text)["problems"]
    assert (status, problem["what"]) == (503, "no partitions are assigned")
    served.watchdog.stepped(lambda: {PLACE: 0})
    assert served.get("/readyz?verbose")[0] == 200


def test_metrics_are_served_as_prometheus_wants_them(served: Served) -> None:
    status, content_type, text = served.get("/metrics")
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert "# TYPE pigeon_lag_records gauge" in text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 501)]
)
def test_anything_else_is_refused(served: Served, method: str, path: str, status: int) -> None:
    assert served.get(path, method)[0] == status


def test_who_asks_and_says_nothing_is_hung_up_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 0.3)
    host, port = parse_address(served.address)
    idle = [socket.create_connection((host, port), timeout=5) for _ in range(MAX_ANSWERS)]
    for each in idle:
        with closing(each):
            assert each.recv(1) == b""
    assert served.get("/healthz")[0] == 200


def test_too_many_at_a_time_are_turned_away(served: Served) -> None:
    host, port = parse_address(served.address)
    idle = [socket.create_connection((host, port), timeout=5) for _ in range(MAX_ANSWERS)]
    with closing(socket.create_connection((host, port), timeout=5)) as one_more:
        assert one_more.recv(1) == b""
    for each in idle:
        each.close()


def test_a_port_that_is_taken_is_named() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SettingsError, match="cannot listen at 127.0.0.1:.*Choose another"),
        serving(f"127.0.0.1:{taken.getsockname()[1]}", Watchdog(), StreamMetrics()),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9464", ("127.0.0.1", 9464)),
        (":0", ("127.0.0.1", 0)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_an_address_without_a_host_is_this_machine_s(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "here", "here:", "here:x", "127.0.0.1:65536", ":-1"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="--operations must be HOST:PORT or PORT, got"):
        parse_address(text)
