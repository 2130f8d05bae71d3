"""The viewer in a real browser: Chromium, driven by playwright, on a phone and on a desktop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from pigeon_recsys.ranking.constraints import BlendConstraints
from pigeon_recsys.records import Reference, SlotRequest
from tests.connectors.http_viewer.world import KEY, served, viewer_app
from tests.service.sticker_service import ADA, BOB, HOSTILE, make_service

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright. Run: pip install playwright"
)

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
HEADINGS = "all => all.map(one => Number(one.tagName[1]))"


@dataclass
class Opened:
    """A page in the browser, and what it complained about or asked for."""

    page: "playwright.Page"
    address: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing is wrong with what is shown now."""
        page = self.page
        images = page.locator("img")
        assert images.evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0)")
        assert images.evaluate_all("all => all.every(i => i.alt.trim().length > 0)")
        for details in page.locator("details:visible").all():
            details.evaluate("one => one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        levels = page.locator("h1, h2, h3, h4").evaluate_all(HEADINGS)
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        fields = page.locator("input:not([type=hidden])")
        assert fields.evaluate_all("all => all.every(i => i.labels.length === 1)")
        assert not self.complaints
        assert all(url.startswith((self.address, "data:")) for url in self.requests)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    service = make_service()
    for number, user_id in enumerate((BOB, HOSTILE, ADA)):
        service.fill(SlotRequest(f"r{number}", user_id, Reference("sticker-7", "a happy bear")))
    service.fill(SlotRequest("cold", "somebody-new", Reference(text=HOSTILE)))
    with served(viewer_app(service)) as address:
        yield address


@pytest.fixture(
    params=[(DESKTOP, "light"), (PHONE, "light"), (DESKTOP, "dark"), (PHONE, "dark")],
    ids=["desktop-light", "phone-light", "desktop-dark", "phone-dark"],
)
def opened(chromium, address, request) -> Iterator[Opened]:
    viewport, scheme = request.param
    context = chromium.new_context(
        viewport=viewport,
        color_scheme=scheme,
        http_credentials={"username": "anybody", "password": KEY},
    )
    page = context.new_page()
    opened = Opened(page, address)
    page.on("console", lambda message: opened.complaints.append(message.text))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (opened.complaints.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: opened.requests.append(asked.url))
    page.goto(f"{address}/")
    yield opened
    context.close()


def test_from_user_to_slate_to_item_and_back(opened):
    page = opened.page
    opened.check()
    page.locator(".users").get_by_role("link", name=ADA, exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == f"User {ADA}"
    opened.check()
    page.get_by_role("link", name="r2", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == f"A slate for {ADA}"
    assert page.locator(".phone .feed-item").count() == 10
    assert page.locator(".history .mask").count() == 5
    assert page.locator(".sweep-image").count() == 11
    opened.check()
    page.locator(".phone .feed-item.generated a").click()
    assert page.get_by_role("heading", level=1).inner_text() == "a happy bear"
    assert page.get_by_text("matches its pixels").is_visible()
    opened.check()
    page.get_by_role("link", name="Back to slate r2").click()
    page.get_by_role("navigation").get_by_role("link", name=ADA).click()
    page.get_by_role("navigation").get_by_role("link", name="Slates").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Feeds as people see")


def test_hostile_ids_can_be_followed_and_run_nothing(opened):
    page = opened.page
    page.locator(".users").get_by_role("link", name=HOSTILE, exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == f"User {HOSTILE}"
    page.get_by_role("link", name="r1", exact=True).click()
    assert page.get_by_role("heading", level=1).inner_text() == f"A slate for {HOSTILE}"
    opened.check()
    page.goto(f"{opened.address}/slates/cold")
    assert page.locator("blockquote").inner_text() == HOSTILE
    opened.check()


def test_a_form_filled_in_by_keyboard_makes_a_slate(opened):
    page = opened.page
    page.get_by_label("User id").focus()
    page.keyboard.type(BOB)
    page.keyboard.press("Tab")
    page.keyboard.type("sticker-9")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"A slate for {BOB}").wait_for()
    assert page.locator(".reference figcaption a").get_attribute("href") == "/items/sticker-9"
    opened.check()


def test_the_generated_picture_is_seen_to_be_generated(opened):
    opened.page.goto(f"{opened.address}/slates/r2")
    item = opened.page.locator(".phone .feed-item.generated")
    assert item.count() == 1
    assert item.get_by_text("Generated for you").is_visible()
    assert item.get_by_text("AI-generated image", exact=True).is_visible()
    assert item.locator("img").get_attribute("alt") == "AI-generated image: a happy bear"


def test_the_overlay_lies_exactly_over_its_image(opened):
    opened.page.goto(f"{opened.address}/slates/r2")
    frame = opened.page.locator(".history-image .frame").first
    image, mask = (frame.locator(name).bounding_box() for name in ("img", ".mask"))
    assert mask == pytest.approx(image, abs=0.5)


def test_what_has_the_focus_is_seen(opened):
    opened.page.keyboard.press("Tab")
    outline = opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_page_follows_the_color_scheme(opened):
    is_dark = opened.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    red = opened.page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) < 128) == is_dark


def test_a_constraint_that_fired_is_named_beside_the_picture(chromium):
    service = make_service(BlendConstraints((0, 1), min_score=0.99, order="as_given"))
    service.fill(SlotRequest("r1", ADA, Reference("sticker-7")))
    context = chromium.new_context(http_credentials={"username": "x", "password": KEY})
    with served(viewer_app(service)) as address:
        page = context.new_page()
        page.goto(f"{address}/slates/r1")
        assert page.locator(".offer .code").inner_text() == "min_score"
        assert page.locator(".phone .generated").count() == 0
    context.close()
