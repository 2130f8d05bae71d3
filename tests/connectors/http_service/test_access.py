"""Keys, scopes, rates, hosts, limits: who is let in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.testclient import TestClient

from pigeon_recsys.service.api_keys import SCOPES
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys_connectors.http_service.access import Access, TokenBucket
from pigeon_recsys_connectors.http_service.app import make_app
from pigeon_recsys_connectors.http_service.problems import Problem
from pigeon_recsys_connectors.http_service.settings import HttpSettings
from tests.connectors.http_service.conftest import ALL_KEY, bearer, settings_with_keys
from tests.connectors.http_service.world import USER

GUARDED = {
    ("POST", "/v1/slates"): "slates",
    ("POST", "/v1/generations"): "generations",
    ("GET", "/v1/generations/0"): "generations",
    ("GET", "/v1/items/gen-0"): "items",
    ("GET", "/v1/items/gen-0/image"): "items",
    ("POST", "/v1/exposures"): "feedback",
    ("DELETE", "/v1/users/nobody"): "erase",
    ("GET", "/metrics"): "metrics",
}


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def calling(service: SlotService, settings: HttpSettings, **how: str) -> Iterator[TestClient]:
    with TestClient(make_app(service, settings), **how) as client:  # type: ignore[arg-type]
        yield client


@pytest.mark.parametrize(("operation", "scope"), GUARDED.items())
def test_an_operation_needs_a_known_key_with_its_scope(
    client: TestClient, operation: tuple[str, str], scope: str
) -> None:
    for presented in ("", "Bearer", "Bearer wrong", f"Basic {ALL_KEY}", "Bearer é"):
        answer = client.request(*operation, headers={b"Authorization": presented.encode()})  # type: ignore[dict-item]
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for other in SCOPES.keys() - {scope}:
        answer = client.request(*operation, headers=bearer(f"key-of-{other}"))
        assert answer.status_code == 403
        assert f'scope="{scope}"' in answer.headers["www-authenticate"]
    assert client.request(*operation, headers=bearer(f"key-of-{scope}")).status_code not in (
        401,
        403,
    )


def test_a_refused_request_is_not_read(client: TestClient) -> None:
    answer = client.post("/v1/slates", content=b"x" * 2**21, headers=bearer("wrong"))
    assert answer.status_code == 401


def test_a_key_beyond_its_rate_is_told_when_to_come_again(service: SlotService) -> None:
    settings = settings_with_keys(rate_per_s=0.5, burst=2)
    with calling(service, settings) as client:
        codes = [client.get("/v1/items/gen-0", headers=bearer("key-of-items")) for _ in range(3)]
        assert [each.status_code for each in codes] == [404, 404, 429]
        assert codes[2].headers["retry-after"] == "2"
        other = client.get("/v1/items/gen-0", headers=bearer())
        assert other.status_code == 404


def test_a_bucket_fills_up_again_and_no_further() -> None:
    clock = Clock()
    bucket = TokenBucket(2.0, 3, clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == 0.5
    clock.now_s += 0.5
    assert bucket.take() == 0
    clock.now_s += 1_000
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


def test_without_keys_a_host_of_this_machine_is_needed(service: SlotService) -> None:
    """A web page that reaches the service by a name of its own is refused."""
    with calling(service, HttpSettings()) as client:
        for host in ("localhost", "127.0.0.1:8080", "[::1]:8080", "LOCALHOST"):
            assert client.get("/v1/items/gen-0", headers={"Host": host}).status_code == 404
        for host in ("evil.example", "127.0.0.1.evil.example", ""):
            answer = client.get("/v1/items/gen-0", headers={"Host": host})
            assert answer.json()["type"] == "urn:pigeon-recsys:bad-host"


def test_hosts_that_are_listed_are_the_only_ones(service: SlotService) -> None:
    with calling(service, settings_with_keys(allowed_hosts=["api.example"])) as client:
        for host, status in (("api.example", 404), ("localhost", 400)):
            headers = {"Host": host, **bearer()}
            assert client.get("/v1/items/gen-0", headers=headers).status_code == status
        assert client.get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200


def test_more_requests_than_may_be_in_hand_are_told_to_come_again(
    service: SlotService, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_working, let_go = threading.Event(), threading.Event()
    item = service.item

    def held(item_id: str) -> object:
        is_working.set()
        let_go.wait(10)
        return item(item_id)

    monkeypatch.setattr(service, "item", held)
    with calling(service, settings_with_keys(max_requests=1)) as client:
        first = threading.Thread(
            target=client.get, args=("/v1/items/gen-0",), kwargs={"headers": bearer()}
        )
        first.start()
        assert is_working.wait(10)
        answer = client.get("/v1/items/gen-0", headers=bearer())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert client.get("/healthz").status_code == 200
        let_go.set()
        first.join()
        assert client.get("/v1/items/gen-0", headers=bearer()).status_code == 404


def test_every_answer_has_the_headers_that_keep_browsers_in_check(client: TestClient) -> None:
    for url in ("/v1/items/gen-0", "/nowhere", "/healthz", "/openapi.json"):
        headers = client.get(url).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "server" not in headers


def test_a_page_can_ask_for_a_key_that_comes_in_another_way() -> None:
    access = Access(settings_with_keys())
    assert access.admit("key-of-viewer", "viewer").name == "viewer"
    for presented in (None, "", USER):
        with pytest.raises(Problem, match="unauthorized"):
            access.admit(presented, "viewer")
