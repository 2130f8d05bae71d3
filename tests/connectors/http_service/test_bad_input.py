"""Bad input: every kind has a defined answer, with all faults at once and nothing echoed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from pigeon_recsys.slot.stages import UNKNOWN_USER
from pigeon_recsys_connectors.http_service.reading import JSON
from tests.connectors.http_service.world import USER

MIB = 2**20
POSTS = ("/v1/slates", "/v1/generations", "/v1/exposures")


def faults(client: TestClient, url: str, body: Any) -> dict[str, str]:
    """Post a body, which must be refused, and return its faults by path."""
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    answer = client.post(url, content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["type"] == "urn:pigeon-recsys:bad-request"
    return {each["path"]: each["fault"] for each in told["faults"]}


def slate(**changes: object) -> dict[str, object]:
    return {"user_id": USER, **changes}


def test_all_faults_are_told_together_with_their_paths(client: TestClient) -> None:
    body = """{"user_id": "", "surface": 7, "slate_size": 0, "seed": -1, "speed": 1,
        "deadline_ms": "soon", "reference": {}, "candidates": [
        {"item_id": "a", "score": NaN}, {"item_id": "gen-1", "score": 1}, {"score": "high"}]}"""
    assert faults(client, "/v1/slates", body) == {
        "user_id": "string should have at least 1 character",
        "surface": "input should be a valid string",
        "candidates.0.score": "input should be a finite number",
        "candidates.1.item_id": (
            "must not begin with 'gen-': the slot finds generated items itself"
        ),
        "candidates.2.item_id": "field required",
        "candidates.2.score": "input should be a valid number",
        "reference": "needs an item_id, a text, or both",
        "slate_size": "input should be greater than or equal to 1",
        "seed": "input should be greater than or equal to 0",
        "deadline_ms": "input should be a valid number",
        "speed": "extra inputs are not permitted",
    }


def test_an_unknown_user_gets_the_callers_own_slate(client: TestClient) -> None:
    own = [{"item_id": "item-08", "score": 1}, {"item_id": "item-09", "score": 2}]
    answer = client.post("/v1/slates", json=slate(user_id="nobody", candidates=own))
    assert answer.status_code == 200
    assert answer.json()["reason"] == UNKNOWN_USER
    assert [p["item_id"] for p in answer.json()["placements"]] == ["item-08", "item-09"]


def test_without_candidates_the_index_is_asked(client: TestClient) -> None:
    for body in (slate(candidates=[]), slate()):
        answer = client.post("/v1/slates", json=body)
        assert answer.status_code == 200
        assert len(answer.json()["placements"]) == 10


def test_of_repeated_ids_the_first_counts(client: TestClient) -> None:
    twice = [
        {"item_id": i, "score": s} for i, s in (("item-08", 3), ("item-09", 2), ("item-08", 1))
    ]
    told = client.post("/v1/slates", json=slate(candidates=twice)).json()
    own = [(p["item_id"], p["score"]) for p in told["placements"] if not p["is_generated"]]
    assert own == [("item-08", 3.0), ("item-09", 2.0)]


@pytest.mark.parametrize("score", ["NaN", "Infinity", "-Infinity", "1e400", "1e999999999"])
def test_scores_must_be_finite(client: TestClient, score: str) -> None:
    body = f'{{"user_id": "ada", "candidates": [{{"item_id": "item-08", "score": {score}}}]}}'
    assert faults(client, "/v1/slates", body) == {
        "candidates.0.score": "input should be a finite number"
    }


def test_a_surface_never_heard_of_is_one_of_the_others(client: TestClient) -> None:
    assert client.post("/v1/slates", json=slate(surface="a new one")).status_code == 200


def test_too_many_candidates_are_one_fault(client: TestClient) -> None:
    many = [{"item_id": f"i{number}", "score": 1} for number in range(10_000)]
    told = faults(client, "/v1/slates", slate(candidates=many))
    assert list(told) == ["candidates"]
    assert "2000 items" in told["candidates"]


def test_many_faults_are_counted_and_the_first_are_listed(client: TestClient) -> None:
    many = [{"item_id": "", "score": 1}] * 2_000
    answer = client.post("/v1/slates", json=slate(candidates=many))
    told = answer.json()
    assert told["detail"] == "2000 faults, of which 50 are listed"
    assert len(told["faults"]) == 50


LONG = "x" * 1_000_000  # which a body of 1 MiB has room for
LONG_PATH = "x" * 60_000  # as the client of these tests sends; servers take less
ABOUT = {"user_id": USER, "request_id": "r", "item_id": "i"}
REPORT = {**ABOUT, "kind": "like", "at_ms": 0}
GENERATION = {"user_id": USER, "reference": {"text": "a cake"}}
TEXTS: list[tuple[str, dict[str, object], str]] = [
    ("/v1/slates", slate(user_id=LONG), "user_id"),
    ("/v1/slates", slate(request_id=LONG), "request_id"),
    ("/v1/slates", slate(surface=LONG), "surface"),
    ("/v1/slates", slate(candidates=[{"item_id": LONG, "score": 1}]), "candidates.0.item_id"),
    ("/v1/slates", slate(reference={"item_id": LONG}), "reference.item_id"),
    ("/v1/slates", slate(reference={"text": LONG}), "reference.text"),
    ("/v1/generations", {**GENERATION, "user_id": LONG}, "user_id"),
    ("/v1/generations", {**GENERATION, "reference": {"item_id": LONG}}, "reference.item_id"),
    ("/v1/generations", {**GENERATION, "reference": {"text": LONG}}, "reference.text"),
    *[
        ("/v1/exposures", {"reports": [{**REPORT, field: LONG}]}, f"reports.0.{field}")
        for field in ("user_id", "request_id", "item_id", "creative_id", "kind")
    ],
]


@pytest.mark.parametrize(("url", "body", "path"), TEXTS, ids=[f"{t[0]} {t[2]}" for t in TEXTS])
def test_long_strings_are_refused_and_not_sent_back(
    client: TestClient, url: str, body: dict[str, object], path: str
) -> None:
    answer = client.post(url, content=json.dumps(body), headers={"Content-Type": JSON})
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["faults"]] == [path]
    assert len(answer.content) < 1_000


def test_every_text_of_a_body_is_tried_with_a_long_string(client: TestClient) -> None:
    """Texts are found in the document, so that a new one needs a line above."""
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]

    def texts(schema: dict[str, Any], path: str) -> Iterator[str]:
        schema = schemas[schema["$ref"].split("/")[-1]] if "$ref" in schema else schema
        for one in schema.get("anyOf", ()):
            yield from texts(one, path)
        if schema.get("type") == "string":
            yield path
        for name, part in schema.get("properties", {}).items():
            yield from texts(part, f"{path}.{name}".removeprefix("."))
        if "items" in schema:
            yield from texts(schema["items"], f"{path}.0")

    found = {
        (url, path)
        for url, operations in document["paths"].items()
        if "requestBody" in (told := operations.get("post", {}))
        for path in texts(told["requestBody"]["content"][JSON]["schema"], "")
    }
    assert found == {(url, path) for url, _, path in TEXTS}


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", f"/v1/items/gen-{LONG_PATH}", 404),
        ("GET", f"/v1/items/gen-{LONG_PATH}/image", 404),
        ("GET", f"/v1/generations/{LONG_PATH}", 404),
        ("DELETE", f"/v1/users/{LONG_PATH}", 422),
        ("DELETE", f"/v1/users/{USER}?at_ms={'9' * len(LONG_PATH)}", 422),
    ],
    ids=["item", "image", "generation", "user", "at_ms"],
)
def test_long_paths_are_refused_and_not_sent_back(
    client: TestClient, method: str, url: str, status: int
) -> None:
    answer = client.request(method, url)
    assert answer.status_code == status
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("url", POSTS)
def test_a_body_that_is_too_large_is_refused_however_it_is_sent(
    client: TestClient, url: str
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * (MIB // 10)

    for content in (b"x" * (MIB + 1), chunks()):
        answer = client.post(url, content=content, headers={"Content-Type": JSON})
        assert answer.status_code == 413
        assert answer.json()["detail"] == "The body has more than the 1048576 bytes allowed."


@pytest.mark.parametrize("deadline_ms", [0, -5, -1e300])
def test_a_deadline_that_is_over_gives_the_callers_own_slate(
    client: TestClient, deadline_ms: float
) -> None:
    body = slate(deadline_ms=deadline_ms, candidates=[{"item_id": "item-08", "score": 1}])
    told = client.post("/v1/slates", json=body).json()
    assert told["reason"] == "the deadline was over before the work began"
    assert [p["item_id"] for p in told["placements"]] == ["item-08"]


@pytest.mark.parametrize("deadline_ms", [60_001, 1e308])
def test_a_deadline_has_an_end(client: TestClient, deadline_ms: float) -> None:
    assert list(faults(client, "/v1/slates", slate(deadline_ms=deadline_ms))) == ["deadline_ms"]


@pytest.mark.parametrize("url", POSTS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"user_id": "\\ud800"}',
        b'{"user_id": "\xed\xa0\x80"}',
        b'{"user_id": 0123}',
        b"{'user_id': 'ada'}",
        b'{"seed": %s}' % (b"9" * 100_000),
    ],
    ids=["empty", "half", "no UTF-8", "deep", "deep objects", "surrogate", "surrogate bytes",
         "octal", "quotes", "digits"],
)  # fmt: skip
def test_what_is_no_json_is_malformed(client: TestClient, url: str, content: bytes) -> None:
    answer = client.post(url, content=content, headers={"Content-Type": JSON})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Invalid JSON")
    assert len(answer.content) < 500


@pytest.mark.parametrize("url", POSTS)
@pytest.mark.parametrize("content", [b"null", b"[]", b"7", b'"x"'])
def test_a_body_must_be_an_object(client: TestClient, url: str, content: bytes) -> None:
    assert list(faults(client, url, content)) == [""]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": ""},
        {"Content-Type": JSON, "Content-Encoding": "gzip"},
    ],
)
def test_a_body_must_say_that_it_is_json(client: TestClient, headers: dict[str, str]) -> None:
    for url in POSTS:
        answer = client.post(url, content=b"{}", headers=headers)
        assert answer.status_code == 415


@pytest.mark.parametrize("value", ["a\x00b", "a\nb", "\x7f", "", " " * 257])
def test_ids_hold_no_control_characters(client: TestClient, value: str) -> None:
    candidates = [{"item_id": value, "score": 1}]
    told = faults(client, "/v1/slates", slate(user_id=value, candidates=candidates))
    assert set(told) == {"user_id", "candidates.0.item_id"}


@pytest.mark.parametrize("value", ["../../etc/passwd", "<script>", "a'; DROP TABLE x", "😀", "\\"])
def test_ids_that_look_bad_are_ids_like_any_other(client: TestClient, value: str) -> None:
    candidates = [{"item_id": value, "score": 1}]
    body = slate(user_id=value, request_id=value, surface=value, candidates=candidates)
    told = client.post("/v1/slates", json=body).json()
    assert told["request_id"] == value
    assert [each["item_id"] for each in told["placements"]] == [value]


def test_numbers_beyond_any_bound_are_faults(client: TestClient) -> None:
    body = f'{{"user_id": "ada", "seed": {"9" * 4_000}, "slate_size": 1e400}}'
    assert set(faults(client, "/v1/slates", body)) == {"seed", "slate_size"}


def test_types_are_not_guessed(client: TestClient) -> None:
    body = slate(slate_size="10", seed=True, deadline_ms="5", candidates={"item-08": 1})
    expected = {"slate_size", "seed", "deadline_ms", "candidates"}
    assert set(faults(client, "/v1/slates", body)) == expected


def test_a_generation_must_say_what_to_show(client: TestClient) -> None:
    told = faults(client, "/v1/generations", {"user_id": 5, "seed": -1})
    assert set(told) == {"user_id", "seed", "reference"}
    blank = faults(client, "/v1/generations", {"user_id": USER, "reference": {"text": "  "}})
    assert blank == {"reference": "needs an item_id, a text, or both"}


def test_reports_are_taken_all_or_none(client: TestClient) -> None:
    about = {"user_id": USER, "request_id": "r", "item_id": "i"}
    reports = [
        {**about, "kind": "shown", "at_ms": 0},
        {**about, "kind": "bought", "at_ms": 0},
        {**about, "kind": "like", "at_ms": 1.5, "position": -1},
    ]
    told = faults(client, "/v1/exposures", {"reports": reports})
    assert set(told) == {
        "reports.0", "reports.1.kind", "reports.2.at_ms", "reports.2.position"
    }  # fmt: skip
    assert set(faults(client, "/v1/exposures", {"reports": []})) == {"reports"}
    many = [{**about, "kind": "like", "at_ms": 0}] * 1_001
    assert set(faults(client, "/v1/exposures", {"reports": many})) == {"reports"}


def test_a_report_of_another_time_is_a_fault_with_its_path(client: TestClient) -> None:
    about = {"user_id": USER, "request_id": "r", "item_id": "i"}
    told = faults(client, "/v1/exposures", {"reports": [{**about, "kind": "like", "at_ms": 1_000}]})
    assert list(told) == ["reports.0.at_ms"]
    assert told["reports.0.at_ms"].startswith("must be epoch milliseconds from ")


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/v1/slates", 405),
        ("DELETE", "/v1/slates", 405),
        ("PATCH", "/v1/users/ada", 405),
        ("GET", "/v1/slates/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/items/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v1/items//image", 404),
    ],
)
def test_other_paths_and_methods_are_told(
    client: TestClient, method: str, url: str, status: int
) -> None:
    answer = client.request(method, url)
    assert answer.status_code == answer.json()["status"] == status
    assert (status == 405) == ("allow" in answer.headers)
