"""Every operation of the API, called as a client calls it."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from pigeon_recsys.generation.picture_file import decode_provenance
from pigeon_recsys.hashed_ids import hashed
from pigeon_recsys.records import GENERATED_PREFIX
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.testing.fake_stores import FakeGeneratedItemStore, FakeImageStore
from pigeon_recsys_connectors.http_service.app import make_app
from tests.connectors.http_service.conftest import bearer, settings_with_keys
from tests.connectors.http_service.world import OTHER, USER, World

CANDIDATES = [{"item_id": f"item-{number:02d}", "score": 5 - number} for number in range(5)]
SLATE = {"request_id": "r1", "user_id": USER, "candidates": CANDIDATES}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def generated_id(client: TestClient, user_id: str = USER) -> str:
    """Return the id of the generated item in a user's slate."""
    asked = {"user_id": user_id, "candidates": CANDIDATES}
    answer = client.post("/v1/slates", json=asked).json()
    (found,) = [each["item_id"] for each in answer["placements"] if each["is_generated"]]
    return str(found)


def test_a_slate_holds_the_candidates_in_order_and_a_generated_item(client: TestClient) -> None:
    answer = client.post("/v1/slates", json=SLATE)
    assert answer.status_code == 200
    told = answer.json()
    assert told["request_id"] == "r1"
    assert told["rung"] == "stored"
    own = [each["item_id"] for each in told["placements"] if not each["is_generated"]]
    assert own == [each["item_id"] for each in CANDIDATES]
    assert [each["position"] for each in told["placements"]] == list(range(6))
    (generated,) = [each for each in told["placements"] if each["is_generated"]]
    assert generated["image_url"] == f"/v1/items/{generated['item_id']}/image"
    assert client.get(generated["image_url"]).status_code == 200


def test_a_request_without_an_id_is_given_one(client: TestClient) -> None:
    ids = [client.post("/v1/slates", json={"user_id": USER}).json()["request_id"] for _ in range(2)]
    assert len(set(ids)) == 2


def test_the_deadline_runs_from_the_arrival_of_the_request(
    client: TestClient, world: World
) -> None:
    client.post("/v1/slates", json={**SLATE, "deadline_ms": 1_000})
    client.post("/v1/slates", json={**SLATE, "request_id": "r2"})
    logged = [each.deadline_ms or 0.0 for each in world.log.decisions]
    assert 0 < logged[0] <= 1_000 < logged[1] <= (world.settings.deadline_ms or 0)


def test_a_generation_has_a_ticket_at_once_and_a_picture_later(client: TestClient) -> None:
    asked = {"user_id": USER, "reference": {"text": "a red cake"}, "seed": 3}
    answer = client.post("/v1/generations", json=asked)
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    url = answer.headers["location"]
    assert url == answer.json()["status_url"]
    deadline_s = time.monotonic() + 10
    while (told := client.get(url).json())["status"] != "done":
        assert time.monotonic() < deadline_s, told
        time.sleep(0.02)
    assert told["item"]["provenance"]["reference"] == {"item_id": None, "text": "a red cake"}
    assert client.get(told["item"]["image_url"]).headers["content-type"] == "image/png"
    again = client.post("/v1/generations", json=asked)
    assert (again.status_code, again.json()) == (200, told)


def test_a_generation_that_nobody_asked_for_is_not_found(client: TestClient) -> None:
    for generation_id in ("0" * 32, "nonsense", "%00", "a" * 5_000):
        assert client.get(f"/v1/generations/{generation_id}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "path"),
    [
        ({"user_id": "nobody", "reference": {"text": "a cake"}}, 422, "user_id"),
        ({"user_id": USER, "reference": {"item_id": "item-999"}}, 404, None),
    ],
)
def test_what_cannot_be_drawn_is_told_at_once(
    client: TestClient, asked: dict[str, Any], status: int, path: str | None
) -> None:
    answer = client.post("/v1/generations", json=asked)
    assert answer.status_code == status
    assert [each["path"] for each in answer.json().get("faults", [])] == ([path] if path else [])


def test_an_item_tells_where_its_picture_comes_from(client: TestClient) -> None:
    item_id = generated_id(client)
    told = client.get(f"/v1/items/{item_id}").json()
    assert told["item_id"] == item_id
    assert told["digital_source_type"].endswith("trainedAlgorithmicMedia")
    assert told["provenance"]["reference"] == {"item_id": "item-07", "text": "cake"}


def test_only_the_scope_viewer_sees_whose_an_item_is(client: TestClient) -> None:
    """The picture's own file leaves the same out, for whoever gets to see it."""
    url = f"/v1/items/{generated_id(client)}"
    personal = ("user_id", "history_item_ids", "seed", "token_seed")
    shown = client.get(url).json()["provenance"]
    hidden = client.get(url, headers=bearer("key-of-items")).json()["provenance"]
    assert shown["user_id"] == USER
    assert [hidden[name] for name in personal] == [None] * 4
    assert {name: hidden[name] for name in hidden if name not in personal} == {
        name: shown[name] for name in shown if name not in personal
    }


def test_a_picture_says_that_it_is_generated_and_never_changes(client: TestClient) -> None:
    url = f"/v1/items/{generated_id(client)}/image"
    answer = client.get(url)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (decode_provenance(answer.content).source_type or "").endswith("AlgorithmicMedia")
    known = client.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize("item_id", ["gen-0000000000000000", "item-01", "gen-%00", "gen-..%2F.."])
def test_an_item_that_is_not_stored_is_not_found(client: TestClient, item_id: str) -> None:
    for url in (f"/v1/items/{item_id}", f"/v1/items/{item_id}/image"):
        answer = client.get(url)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_reports_reach_the_log_and_the_frequency_caps(
    client: TestClient, world: World, service: SlotService
) -> None:
    about = {"user_id": USER, "request_id": "r1", "at_ms": now_ms()}
    item_id = generated_id(client)
    reports = [
        {**about, "item_id": item_id, "kind": "shown", "position": 0},
        {**about, "item_id": "item-01", "kind": "shown", "position": 1},
        {**about, "item_id": "item-02", "kind": "shown", "position": 2, "creative_id": "gen-1"},
        {**about, "item_id": "item-01", "kind": "click"},
        {**about, "item_id": "item-01", "kind": "hide"},
    ]
    answer = client.post("/v1/exposures", json={"reports": reports})
    assert (answer.status_code, answer.json()) == (202, {"taken": 5})
    assert [each.item_id for each in world.log.exposures] == [item_id, "item-01", "item-02"]
    assert [each.kind for each in world.log.outcomes] == ["click", "hide"]
    assert [each.item_id for each in service.slot.parts.shown.of(USER)] == [item_id, "gen-1"]


def test_an_erasure_leaves_nothing_of_a_user_and_all_of_others(
    client: TestClient, world: World, service: SlotService
) -> None:
    items, kept = generated_id(client), generated_id(client, OTHER)
    answer = client.delete(f"/v1/users/{USER}")
    assert answer.status_code == 200
    assert answer.json()["erased"] == {"items": 1, "history": 1, "images": 2, "memory": 1}
    for url in (f"/v1/items/{items}", f"/v1/items/{items}/image"):
        assert client.get(url).status_code == 404
    assert isinstance(world.images, FakeImageStore)
    assert isinstance(world.items, FakeGeneratedItemStore)
    assert list(world.items.stored) == [kept]
    assert len(world.images.contents) == 2, "the picture that is kept, and its sweep"
    assert service.slot.parts.recent is not None
    assert {slate.user_id for _, slate in service.slot.parts.recent.newest(9)} == {OTHER}
    after = client.post("/v1/slates", json=SLATE).json()
    assert not any(each["is_generated"] for each in after["placements"])


def test_an_erasure_may_be_repeated(client: TestClient) -> None:
    first = client.delete(f"/v1/users/{USER}").json()
    again = client.delete(f"/v1/users/{USER}?at_ms={first['at_ms']}")
    assert again.status_code == 200
    assert again.json() == {"at_ms": first["at_ms"], "erased": dict.fromkeys(first["erased"], 0)}


def test_an_erasure_that_failed_somewhere_says_how_to_end_it(
    client: TestClient, world: World
) -> None:
    assert isinstance(world.images, FakeImageStore)
    world.images.failures_left = 1
    failed = client.delete(f"/v1/users/{USER}")
    assert failed.status_code == 503
    told = failed.json()
    assert told["type"] == "urn:pigeon-recsys:incomplete-erasure"
    assert told["detail"].startswith("It failed in: images. Send it again with ?at_ms=")
    again = client.delete(f"/v1/users/{USER}?at_ms={told['at_ms']}")
    assert again.json()["erased"]["images"] == 2


@pytest.mark.parametrize("user_id", ["a/b", "..%2f..%2fetc", "%C3%A9t%C3%A9", "a b", "x" * 256])
def test_any_id_of_a_user_can_be_erased(client: TestClient, user_id: str) -> None:
    assert client.delete(f"/v1/users/{user_id}").status_code == 200


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/v1/users/%00", "user_id"),
        ("/v1/users/%FF", "user_id"),
        (f"/v1/users/{'x' * 257}", "user_id"),
        ("/v1/users/", "user_id"),
        (f"/v1/users/{USER}?at_ms=soon", "at_ms"),
        (f"/v1/users/{USER}?at_ms=-1", "at_ms"),
        (f"/v1/users/{USER}?at_ms=4102444800000", "at_ms"),
    ],
)
def test_an_erasure_with_faults_erases_nothing(
    client: TestClient, world: World, url: str, path: str
) -> None:
    answer = client.delete(url)
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["faults"]] == [path]
    assert world.items.of_user(USER, 9)


def test_health_and_readiness_need_no_key(client: TestClient, world: World) -> None:
    for url in ("/healthz", "/readyz"):
        answer = client.get(url, headers={"Authorization": ""})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok", "problems": []})
    assert isinstance(world.items, FakeGeneratedItemStore)
    world.items.failures_left = 1
    failing = client.get("/readyz")
    assert failing.status_code == 503
    assert failing.json()["problems"] == ["the store of items fails; the log says why"]
    assert client.get("/healthz").status_code == 200


def counts(client: TestClient) -> Counter[str]:
    """Return the counters; where Feast was loaded first, those of all tests before as well."""
    lines = [line.rpartition(" ") for line in client.get("/metrics").text.splitlines()]
    return Counter({name: float(value) for name, _, value in lines if "_total{" in name})  # type: ignore[misc]


def test_metrics_count_routes_and_slates_and_name_no_user(client: TestClient) -> None:
    def work() -> None:
        client.post("/v1/slates", json=SLATE)
        client.post("/v1/slates", json={**SLATE, "user_id": "nobody-7"})
        client.delete("/v1/users/nobody-8")

    work()  # a series that is kept in a file goes on where it ended
    client.get("/metrics")
    before = counts(client)
    work()
    assert counts(client) - before == {
        'pigeon_slates_total{outcome="placed",rung="stored"}': 1,
        'pigeon_slates_total{outcome="unknown_user",rung="catalog"}': 1,
        'pigeon_http_requests_total{method="POST",route="/v1/slates",status="200"}': 2,
        'pigeon_http_requests_total{method="DELETE",route="/v1/users/{user_id}",status="200"}': 1,
        'pigeon_http_requests_total{method="GET",route="/metrics",status="200"}': 1,
    }
    assert "nobody-" not in client.get("/metrics").text


def test_the_access_log_names_users_by_hashed_words(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pigeon_recsys.http"):
        client.post("/v1/slates", json=SLATE)
    (record,) = [each for each in caplog.records if each.name == "pigeon_recsys.http"]
    told = vars(record)
    assert told["user"] == hashed(USER)
    assert (told["route"], told["status"], told["key"]) == ("/v1/slates", 200, "all")
    assert not [value for value in told.values() if value == USER]


def test_an_unexpected_failure_is_told_by_an_id_that_is_in_the_log(
    client: TestClient,
    service: SlotService,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(request: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(service, "fill", fail)
    answer = client.post("/v1/slates", json=SLATE)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert answer.json()["error_id"] in caplog.text
    assert "the secret of the house" in caplog.text


def test_a_store_that_fails_is_told_without_its_address(client: TestClient, world: World) -> None:
    assert isinstance(world.items, FakeGeneratedItemStore)
    world.items.failures_left = 1
    answer = client.get("/v1/items/gen-0000000000000000")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "as it was told to" not in answer.text


def test_what_takes_too_long_is_given_up(
    service: SlotService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "item", lambda item_id: time.sleep(0.5))
    app = make_app(service, settings_with_keys(request_timeout_s=0.05))
    with TestClient(app, headers=bearer()) as client:
        assert client.get("/v1/items/gen-0").status_code == 504


def test_a_service_without_parts_says_what_is_missing(world: World) -> None:
    with SlotServiceWithout(world) as client:
        for method, url, body in (
            ("GET", "/v1/items/gen-0", None),
            ("GET", "/v1/generations/0", None),
            ("POST", "/v1/generations", {"user_id": "ada", "reference": {"text": "x"}}),
            ("DELETE", "/v1/users/ada", None),
        ):
            answer = client.request(method, url, json=body)
            assert answer.status_code == 501
            assert "which the settings leave out. Add it there." in answer.json()["detail"]


class SlotServiceWithout:
    """A service of a slot alone."""

    def __init__(self, world: World) -> None:
        self.service = SlotService(world.slot())
        self.client = TestClient(make_app(self.service, settings_with_keys()), headers=bearer())

    def __enter__(self) -> TestClient:
        return self.client.__enter__()

    def __exit__(self, *exc: Any) -> None:
        self.client.__exit__(*exc)
        self.service.close()


@pytest.fixture
def page_client(service: SlotService) -> Iterator[TestClient]:
    origin = "https://feed.example"
    with TestClient(make_app(service, settings_with_keys(cors_origins=[origin]))) as found:
        yield found


def test_web_pages_may_call_only_from_origins_that_are_listed(
    client: TestClient, page_client: TestClient
) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    listed, other = "https://feed.example", "https://else.example"
    allowed = page_client.options("/v1/slates", headers={"Origin": listed, **asked})
    assert allowed.headers["access-control-allow-origin"] == listed
    refused = page_client.options("/v1/slates", headers={"Origin": other, **asked})
    assert "access-control-allow-origin" not in refused.headers
    without = client.options("/v1/slates", headers={"Origin": listed, **asked})
    assert "access-control-allow-origin" not in without.headers


def test_the_document_has_an_example_for_every_request_and_answer(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations) == 10
    for operation in operations:
        assert operation["tags"]
        contents = [*operation["responses"].values(), operation.get("requestBody", {})]
        for content in (c for each in contents for c in each.get("content", {}).values()):
            assert content["schema"]
            assert "example" in content or content["examples"]
        if "security" in operation:
            assert {"401", "403", "429", "500", "503", "504"} <= set(operation["responses"])
    assert "HTTPValidationError" not in json.dumps(document)


def test_the_document_says_what_every_parameter_and_field_is(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    parameters = [each for operation in operations for each in operation.get("parameters", ())]
    assert {each["name"] for each in parameters} == {
        "generation_id", "item_id", "user_id", "at_ms"
    }  # fmt: skip
    for each in parameters:
        assert each["description"], each
        assert [one["value"] for one in each["examples"].values()], each
    undescribed = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, told in schema.get("properties", {}).items()
        if not told.get("description")
    ]
    assert undescribed == []
    assert all(schema.get("description") for schema in document["components"]["schemas"].values())


def test_there_are_no_pages_that_load_what_others_serve(client: TestClient) -> None:
    for url in ("/docs", "/redoc", "/"):
        assert client.get(url).status_code == 404


def test_generated_ids_are_what_they_say(client: TestClient) -> None:
    assert generated_id(client).startswith(GENERATED_PREFIX)
