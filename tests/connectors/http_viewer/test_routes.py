"""The viewer's answers: who gets them, what they hold, what hostile requests get instead."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pigeon_recsys.errors import DatasetError, ItemStoreError, SettingsError
from pigeon_recsys.hashed_ids import hashed
from pigeon_recsys.pages.environment import csp_hash
from pigeon_recsys.ranking.constraints import BlendConstraints, Window
from pigeon_recsys.records import Reference, SlotRequest
from pigeon_recsys_connectors.http_service.settings import HttpSettings
from pigeon_recsys_connectors.http_viewer.slate_form import MAX_BODY
from pigeon_recsys_connectors.http_viewer.views import Views, in_force
from tests.connectors.http_viewer.world import KEY, OTHER_KEY, SETTINGS, viewer_app
from tests.service.sticker_service import ADA, HOSTILE, make_service

OWN = {"Sec-Fetch-Site": "same-origin"}
FILLED = {"user_id": ADA, "reference_item": "sticker-7", "slate_size": "5"}


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def service():
    service = make_service()
    for number, user_id in enumerate((ADA, HOSTILE)):
        service.fill(SlotRequest(f"r{number}", user_id, Reference("sticker-7", HOSTILE)))
    return service


@pytest.fixture
def client(service):
    with TestClient(viewer_app(service)) as client:
        client.auth = ("anybody", KEY)
        yield client


def header(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"x:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/", "/users/ada", "/slates/r0", "/items/sticker-1"])
def test_a_key_with_the_scope_opens_every_page(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/users/ada", "/slates/r0", "/items/sticker-1"])
def test_without_a_key_there_is_nothing_but_the_question_for_it(service, path):
    with TestClient(viewer_app(service)) as client:
        answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "ada" not in answer.text


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (header("pigeon_wrong"), 401),
        (header(""), 401),
        (header(OTHER_KEY), 403),
        ({"Authorization": f"Bearer {KEY}"}, 401),
        ({"Authorization": "Basic ###"}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:x").decode()}, 401),
    ],
)
def test_any_other_key_is_refused(service, given, status):
    with TestClient(viewer_app(service)) as client:
        assert client.get("/", headers=given).status_code == status
        sent = client.post("/", data=FILLED, headers={**OWN, **given})
    assert sent.status_code == status
    assert len(service.slot.parts.recent.newest(10)) == 2


def test_a_service_without_keys_is_open_to_its_own_machine(service):
    with TestClient(viewer_app(service, HttpSettings()), base_url="http://localhost") as client:
        assert client.get("/").status_code == 200


def test_a_key_that_asks_too_often_waits(service):
    slow = SETTINGS.model_copy(update={"rate_per_s": 0.01, "burst": 1})
    with TestClient(viewer_app(service, slow)) as client:
        client.auth = ("x", KEY)
        assert client.get("/").status_code == 200
        answer = client.get("/")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


def test_a_form_makes_a_slate_and_answers_with_its_page(client, service):
    answer = client.post("/", data=FILLED, headers=OWN)
    assert answer.status_code == 200
    draft, slate = service.slot.parts.recent.newest(1)[0]
    assert slate.request_id.startswith("viewer-")
    assert slate.request_id in answer.text
    assert (draft.request.user_id, draft.request.slate_size) == (ADA, 5)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_a_form_of_another_site_makes_nothing(client, service, headers):
    answer = client.post("/", data=FILLED, headers=headers)
    assert answer.status_code == 403
    assert len(service.slot.parts.recent.newest(10)) == 2


def test_a_browser_without_fetch_metadata_is_known_by_the_origin(client):
    headers = {"Origin": "http://testserver"}
    assert client.post("/", data=FILLED, headers=headers).status_code == 200


def test_a_form_with_faults_comes_back_filled_in_with_all_of_them(client):
    faulty = {**FILLED, "user_id": HOSTILE, "slate_size": "many", "deadline_ms": "soon"}
    answer = client.post("/", data=faulty, headers=OWN)
    assert answer.status_code == 422
    assert "slate_size must be a whole number, got &#39;many&#39;" in answer.text
    assert "deadline_ms must be a number, got &#39;soon&#39;" in answer.text
    assert "<script>" not in answer.text


def test_what_the_slot_refuses_is_told_in_the_form(client):
    answer = client.post("/", data={**FILLED, "slate_size": "0"}, headers=OWN)
    assert answer.status_code == 422
    assert "slate_size must be from 1 to 200, got 0" in answer.text


def test_a_body_that_is_no_form_or_too_long_is_refused(client):
    assert client.post("/", content=b"{}", headers=OWN).status_code == 415
    long = {"content-type": "application/x-www-form-urlencoded", **OWN}
    assert client.post("/", content=b"a" * (MAX_BODY + 1), headers=long).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/slates/unknown",
        "/users/stranger",
        "/items/gen-unknown",
        "/items/unknown",
        "/slates/" + "x" * 300,
        "/users/",
        "/users/%00%ff%2e%2e%2f%2e%2e",
        "/items/..%2f..%2fetc%2fpasswd",
        "/slates/%3Cscript%3Ealert(1)%3C/script%3E",
    ],
)
def test_what_is_not_known_is_a_page_that_says_so(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "To the slates" in answer.text
    assert "<script" not in answer.text


def test_a_slate_that_no_process_knows_is_told_of(client):
    assert "A worker remembers the newest slates" in client.get("/slates/unknown").text


@pytest.mark.parametrize("path", ["/", "/users/ada", "/slates/r0", "/slates/none"])
def test_browsers_are_told_to_run_fetch_frame_and_store_nothing(client, path):
    answer = client.get(path)
    style = re.search(r"<style>(.*?)</style>", answer.text, re.S)[1]
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; img-src 'self' data:; style-src '{csp_hash(style)}'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_hostile_ids_and_texts_stay_text_on_every_page(client, service):
    made = service.slot.parts.recent.of_request("r1")[1].items[0].item_id
    for path in ("/", "/slates/r1", f"/items/{made}"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        tags = Tags(answer.text).found
        assert "script" not in {tag for tag, _ in tags}
        assert not [name for _, held in tags for name in held if name.startswith("on")]
        assert not [name for _, held in tags for name in held if name == "style"]
        assert "&lt;script&gt;" in answer.text


def test_every_link_stays_here(client):
    links = [
        held.get("href") or held.get("src") or held.get("action") or ""
        for tag, held in Tags(client.get("/slates/r0").text).found
        if tag in ("a", "img", "form", "link")
    ]
    assert links
    assert all(link.startswith(("/", "data:image/png;base64,", "data:,")) for link in links)
    assert not any(link.startswith("//") for link in links)


def test_an_id_no_encoding_takes_does_not_take_the_page_with_it(client, service):
    service.fill(SlotRequest("r-\ud800", "user-\udfff"))
    assert client.get("/").status_code == 200


def test_a_store_that_fails_is_a_page_that_says_so_and_not_where_it_is(
    client, service, monkeypatch, caplog
):
    def of_user(user_id, limit):
        raise ItemStoreError(f"reading items of {user_id!r} from redis://10.0.0.7:6379 failed")

    monkeypatch.setattr(service.parts.items, "of_user", of_user)
    answer = client.get("/users/ada")
    assert answer.status_code == 503
    assert "ItemStoreError, which the log explains" in answer.text
    assert "10.0.0.7" not in answer.text
    assert f"reading items of {hashed('ada')} from redis://10.0.0.7:6379 failed" in caplog.text
    assert "'ada'" not in caplog.text


def test_a_page_that_fails_for_a_dataset_does_not_say_where_it_is(
    client, service, monkeypatch, caplog
):
    def pixels(item_id):
        raise DatasetError(Path("/srv/secret/data"), [f"item {item_id!r}: image is no picture"])

    monkeypatch.setattr(service.slot.parts.catalog, "pixels", pixels)
    answer = client.get("/items/sticker-1")
    assert answer.status_code == 500
    assert "DatasetError, which the log explains" in answer.text
    assert "/srv/secret" not in answer.text
    assert "/srv/secret/data" in caplog.text


def test_links_begin_with_where_a_proxy_put_the_viewer(service):
    app = viewer_app(service, HttpSettings())
    with TestClient(app, base_url="http://localhost", root_path="/feeds") as client:
        page = client.get("/feeds/").text
    assert 'href="/feeds/slates/r0"' in page
    assert 'action="/feeds/"' in page


def test_the_viewer_is_no_part_of_the_apis_document(client):
    assert not [path for path in client.get("/openapi.json").json()["paths"] if "user" in path][1:]


def test_a_slot_that_keeps_no_slates_cannot_be_viewed():
    with pytest.raises(SettingsError, match="the slot keeps none"):
        Views(make_service(recent=None))


def test_constraints_are_told_in_words_with_places_from_one():
    """Positions 1 and 2 are places 2 and 3."""
    told = in_force(BlendConstraints((1, 2), window=Window(1, 5)))
    assert told["allowed_positions"] == "2, 3"
    assert told["window"] == "at_most 1, positions 5"
    assert told["item_cap"] == "none"
    assert told["min_distance"] == "1"
