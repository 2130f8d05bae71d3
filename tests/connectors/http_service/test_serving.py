"""Real processes: two workers behind one address, called, killed and stopped."""

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pigeon_recsys.service.api_keys import SCOPES, key_hash
from pigeon_recsys_connectors.feast_history import FeastHistoryStore
from pigeon_recsys_connectors.feast_items import FeastItemStore
from pigeon_recsys_connectors.image_files import ImageFiles
from tests.connectors.http_service.world import LIKED, USER, World

KEY = "served-key"
KEYS = [{"name": "test", "sha256": key_hash(KEY), "scopes": list(SCOPES)}]
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
START_S = 240.0  # Feast takes seconds to load, on a busy machine many
CLIENTS = 8

pytestmark = pytest.mark.slow


@dataclass
class Served:
    """A running service."""

    process: "subprocess.Popen[str]"
    folder: Path
    port: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request on a connection of its own; return status, headers and body."""
        connection = self.connect()
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {**HEADERS, **headers})
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def workers(self) -> list[int]:
        """Return the ids of the worker processes, as the kernel knows them."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if _is_worker(int(child))]

    def decided(self) -> list[str]:
        """Return the ids of all slates that were decided on."""
        return (self.folder / "slates.log").read_text().split()


def _is_worker(pid: int) -> bool:
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


@contextmanager
def serving(folder: Path, **section: object) -> Iterator[Served]:
    """Serve what a folder holds, until the block ends."""
    section = {"port": 0, "workers": 2, "keys": KEYS, "drain_s": 0.5, **section}
    (folder / "section.json").write_text(json.dumps(section))
    root = Path(__file__).resolve().parents[3]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.connectors.http_service.served_world", str(folder)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'connectors'}"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, (folder / "stderr").read_text()[-4_000:]
        yield Served(process, folder, int(url.rpartition(":")[2]))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service on Feast's SQLite store and a folder of pictures, with one user's picture."""
    folder = tmp_path_factory.mktemp("served")
    FeastHistoryStore.create(folder / "store", [])
    world = World(
        items=FeastItemStore.open(folder / "store"),
        images=ImageFiles.open(str(folder / "images")),
        histories=FeastHistoryStore.open(folder / "store"),
    )
    world.like(USER, *LIKED)
    world.draw(USER)
    with serving(folder) as found:
        yield found


def files_with(folder: Path, text: str) -> list[Path]:
    """Return the files that hold a text anywhere."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


def test_a_user_is_served_and_then_erased_in_stores_pictures_and_every_worker(
    served: Served,
) -> None:
    slate = {"user_id": USER, "candidates": [{"item_id": "item-08", "score": 1}]}
    for _ in range(12):  # connections of their own, so that both workers know the user
        status, _, body = served.call("POST", "/v1/slates", slate)
        assert status == 200
    (item_id,) = [p["item_id"] for p in json.loads(body)["placements"] if p["is_generated"]]
    assert json.loads(served.call("GET", f"/v1/items/{item_id}")[2])["item_id"] == item_id
    status, headers, picture = served.call("GET", f"/v1/items/{item_id}/image")
    assert (status, headers["content-type"], picture[:4]) == (200, "image/png", b"\x89PNG")
    report = {
        "user_id": USER,
        "request_id": "r1",
        "item_id": item_id,
        "kind": "shown",
        "at_ms": time.time_ns() // 1_000_000,
        "position": 0,
    }
    assert served.call("POST", "/v1/exposures", {"reports": [report]})[0] == 202
    asked = {"user_id": USER, "reference": {"text": "a cake"}}
    status, headers, _ = served.call("POST", "/v1/generations", asked)
    assert status == 202
    deadline_s = time.monotonic() + 60
    while (made := json.loads(served.call("GET", headers["location"])[2]))["status"] != "done":
        assert time.monotonic() < deadline_s, made
        time.sleep(0.1)

    status, _, body = served.call("DELETE", f"/v1/users/{USER}")
    erased = json.loads(body)["erased"]
    assert (status, erased["items"], erased["history"]) == (200, 2, 1)
    assert erased["images"] in (5, 6)  # the ticket may go with what its worker has in hand
    assert erased["memory"] >= 1
    assert served.call("GET", headers["location"])[0] == 404
    for gone in (item_id, made["item"]["item_id"]):
        assert served.call("GET", f"/v1/items/{gone}")[0] == 404
        assert served.call("GET", f"/v1/items/{gone}/image")[0] == 404
    assert not list((served.folder / "images").glob("*/*/*"))
    assert not files_with(served.folder / "images", USER)
    for _ in range(12):
        told = json.loads(served.call("POST", "/v1/slates", slate)[2])
        assert not any(each["is_generated"] for each in told["placements"])
    again = json.loads(served.call("DELETE", f"/v1/users/{USER}")[2])["erased"]
    assert again["items"] == again["images"] == 0


def test_metrics_sum_up_all_workers(served: Served) -> None:
    for _ in range(10):
        served.call("GET", "/healthz")
    text = served.call("GET", "/metrics")[2].decode()
    (line,) = [
        each for each in text.splitlines() if "/healthz" in each and "requests_total" in each
    ]
    assert float(line.split()[-1]) == 10


def test_keys_are_asked_for_and_never_logged(served: Served) -> None:
    assert served.call("GET", "/v1/items/gen-0", Authorization="Bearer wrong-key-7")[0] == 401
    log = (served.folder / "stderr").read_text()
    assert KEY not in log
    assert "wrong-key-7" not in log
    assert f'"{USER}"' not in log


def test_a_worker_that_dies_is_replaced_and_the_service_goes_on(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        victim, other = served.workers()
        os.kill(victim, signal.SIGKILL)
        deadline_s = time.monotonic() + 60
        while victim in (now := served.workers()) or len(now) < 2:
            assert served.call("GET", "/healthz")[0] == 200
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert other in now


def test_a_page_of_the_viewer_is_found_whichever_worker_is_asked(tmp_path: Path) -> None:
    password = base64.b64encode(f"x:{KEY}".encode()).decode()
    with serving(tmp_path, viewer=True) as found:

        def page(path: str, **headers: str) -> tuple[int, str]:
            told = {"Authorization": f"Basic {password}", **headers}
            status, _, body = found.call("GET", path, **told)
            return status, body.decode()

        ids = [f"r/{number} é" for number in range(8)]
        for each in ids:  # on connections of their own: both workers make some
            found.call("POST", "/v1/slates", {"user_id": USER, "request_id": each})
        for each in ids:
            for _ in range(4):
                status, text = page(f"/slates/{quote(each, safe='')}")
                assert (status, each in text) == (200, True)
        lists = {pid: page(f"/?worker={pid}")[1] for pid in found.workers()}
        assert len(lists) == 2
        for each in ids:
            assert sum(f">{each}</a>" in text for text in lists.values()) == 1, each
        first, second = lists
        for pid, other in ((first, second), (second, first)):
            assert f"that worker {pid} remembers" in lists[pid]
            assert f"/?worker={other}" in lists[pid]
        assert page("/slates/never-made")[0] == 404
        assert page("/?worker=1")[0] == page("/?worker=-1")[0] == 200
        assert page("/slates/r1", Authorization="Basic eDp3cm9uZw==")[0] == 401
        os.kill(first, signal.SIGKILL)
        deadline_s = time.monotonic() + 60
        while f"/?worker={first}" in page("/")[1] or len(found.workers()) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert page(f"/?worker={second}")[0] == 200


def test_workers_end_when_whoever_started_them_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        workers = served.workers()
        served.process.kill()
        deadline_s = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


@dataclass
class Client:
    """Sends slates one after another, until nobody listens any more."""

    served: Served
    name: str
    answered: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.run, name=self.name)
        self.thread.start()

    def run(self) -> None:
        connection = self.served.connect()
        for number in range(1_000_000):
            request_id = f"{self.name}-{number}"
            body = {"user_id": USER, "request_id": request_id}
            try:
                connection.request("POST", "/v1/slates", json.dumps(body), HEADERS)
                answer = connection.getresponse()
            except ConnectionRefusedError:
                return
            except (http.client.RemoteDisconnected, ConnectionError):
                connection.close()  # not taken: the next try tells whether anybody listens
                continue
            told = answer.read()
            if answer.status == 200 and json.loads(told)["request_id"] == request_id:
                self.answered.append(request_id)
            else:
                self.wrong.append(f"{answer.status}: {told!r}")


def test_sigterm_under_load_loses_no_request_that_was_taken(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        clients = [Client(served, f"c{number}") for number in range(CLIENTS)]
        time.sleep(1.0)
        served.process.send_signal(signal.SIGTERM)
        started_s = time.monotonic()
        assert served.process.wait(30) == 0
        assert time.monotonic() - started_s < 20
        for client in clients:
            client.thread.join(30)
        assert [client.wrong for client in clients] == [[]] * CLIENTS
        answered = [request_id for client in clients for request_id in client.answered]
        assert len(answered) > CLIENTS
        assert sorted(answered) == sorted(served.decided())


def test_a_service_that_cannot_be_opened_says_why_and_ends(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    refused = pytest.raises(AssertionError, match="the world is broken. Remove the file")
    with refused, serving(tmp_path):
        raise RuntimeError("it serves")


def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match=f"cannot listen at 127.0.0.1:{port}"):  # noqa: SIM117
            with serving(tmp_path, port=port):
                raise RuntimeError("it serves")


def test_a_client_that_never_ends_its_head_or_body_is_let_go(tmp_path: Path) -> None:
    with serving(tmp_path, workers=1, header_timeout_s=0.5, body_timeout_s=0.5) as served:
        head = b"POST /v1/slates HTTP/1.1\r\nHost: x\r\n"
        auth = f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n".encode()
        for sent, told in (
            (b"", b""),
            (head, b""),
            (head + b"X: " + b"y" * 40_000, b"HTTP/1.1 400"),
            (head + auth + b"Content-Length: 9\r\n\r\n{", b"HTTP/1.1 408"),
            (head + auth + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"HTTP/1.1 408"),
            (head + auth + b"Content-Length: 99999999\r\n\r\n{", b"HTTP/1.1 413"),
        ):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
                connection.sendall(sent)
                received = b""
                while chunk := connection.recv(65_536):
                    received += chunk
                assert received[: len(told)] == told
                assert bool(received) == bool(told)
