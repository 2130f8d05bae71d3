"""The page in a real browser: Chromium, driven by playwright."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pigeon_recsys.demo.page import write_page
from pigeon_recsys.records import Reference

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright. Run: pip install playwright"
)

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
NUM_STORIES = 4


@dataclass
class Opened:
    """A page in the browser, and what it complained about or asked for."""

    page: "playwright.Page"
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def pick(self, number: int) -> None:
        self.page.locator(f"#pick-{number}").check()


@pytest.fixture(scope="module")
def address(report, tmp_path_factory) -> str:
    """Where the browser finds the page of the sample report."""
    path = tmp_path_factory.mktemp("demo") / "index.html"
    write_page(report, path)
    return path.as_uri()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def opened(chromium, address, request) -> Iterator[Opened]:
    page = chromium.new_page(viewport=request.param)
    opened = Opened(page)
    page.on("console", lambda message: opened.complaints.append(message.text))
    page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    page.on("dialog", lambda dialog: opened.complaints.append(dialog.message))
    page.on("request", lambda asked: opened.requests.append(asked.url))
    page.goto(address)
    yield opened
    page.close()


def test_the_page_loads_without_complaint_or_network(opened):
    outside = [url for url in opened.requests if not url.startswith(("file:", "data:"))]
    assert opened.requests
    assert not outside
    assert not opened.complaints


def test_every_image_loads_and_has_an_alternative_text(opened):
    for number in range(1, NUM_STORIES + 1):
        opened.pick(number)
        images = opened.page.locator(f"#story-{number} img")
        assert images.count() >= 10
        assert images.evaluate_all("all => all.every(i => i.complete && i.naturalWidth > 0)")
        assert images.evaluate_all("all => all.every(i => i.alt.trim().length > 0)")
    # Beside its user's name an avatar says nothing more, so a screen reader passes over it.
    avatars = opened.page.locator(".choice img")
    assert avatars.evaluate_all("all => all.every(i => i.getAttribute('alt') === '')")


def test_the_page_never_scrolls_sideways(opened):
    for number in range(1, NUM_STORIES + 1):
        opened.pick(number)
        for details in opened.page.locator("details:visible").all():
            details.evaluate("one => one.open = true")
        wanted = opened.page.evaluate("document.documentElement.scrollWidth")
        assert wanted <= opened.page.viewport_size["width"]


def test_the_overlay_goes_and_comes_back_with_its_switch(opened):
    masks = opened.page.locator("#story-1 .mask")
    switch = opened.page.locator("#story-1").get_by_label("Show hidden tokens")
    assert masks.count() == 5
    assert masks.first.is_visible()
    switch.click()
    assert not masks.first.is_visible()
    switch.press("Space")
    assert masks.first.is_visible()


def test_the_overlay_lies_exactly_over_its_image(opened):
    frame = opened.page.locator("#story-1 .history-image .frame").first
    image, mask = (frame.locator(name).bounding_box() for name in ("img", ".mask"))
    assert mask == pytest.approx(image, abs=0.5)


def test_a_click_picks_a_user(opened):
    name = opened.page.get_by_text("user-0107", exact=True)
    name.scroll_into_view_if_needed()
    box = name.bounding_box()
    opened.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert opened.page.locator("#story-2").is_visible()
    assert opened.page.locator(".story:visible").count() == 1


def test_the_keyboard_picks_a_user(opened):
    opened.page.locator("body").press("Tab")  # to the details of the run
    opened.page.keyboard.press("Tab")  # to the chosen user
    for number in (2, 3, 4, 1):
        opened.page.keyboard.press("ArrowRight")
        assert opened.page.locator(f"#story-{number}").is_visible()
        assert opened.page.locator(".story:visible").count() == 1


def test_the_generated_item_is_seen_to_be_generated(opened):
    item = opened.page.locator("#story-1 .feed-item.generated")
    assert item.count() == 1
    assert item.get_by_text("Generated for you").is_visible()
    assert item.get_by_text("AI-generated image", exact=True).is_visible()
    assert item.get_by_label("position 3").is_visible()
    assert opened.page.locator("#story-1 .feed-item").count() == 10


def test_the_sweep_can_be_reached_and_scrolled_by_keyboard(opened):
    strip = opened.page.get_by_role(
        "region", name="Images and scores by mask ratio, user user-0042"
    )
    strip.focus()
    assert strip.evaluate("one => one === document.activeElement")
    assert strip.locator(".sweep-image").count() == 11
    last = strip.locator(".sweep-image").last
    last.scroll_into_view_if_needed()
    assert last.is_visible()


def test_curves_stand_under_the_images_they_score(opened):
    """The chart is as wide as the row of images, so each point lies under its image."""
    row = opened.page.locator("#story-1 .sweep-images").bounding_box()
    chart = opened.page.locator("#story-1 .chart").bounding_box()
    assert (chart["x"], chart["width"]) == pytest.approx((row["x"], row["width"]), abs=0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_color_scheme(chromium, address, scheme):
    page = chromium.new_page(color_scheme=scheme)
    page.goto(address)
    red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    page.close()
    assert (int(red) > 128) == (scheme == "light")


def test_hostile_text_runs_nothing(chromium, report_of, story_of, tmp_path):
    hostile = "</style><script>alert(1)</script><img src=x onerror=alert(2)>"
    write_page(report_of(story_of(hostile, 8, 0, Reference(text=hostile))), tmp_path / "index.html")
    page = chromium.new_page()
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    page.goto((tmp_path / "index.html").as_uri())
    assert page.locator("blockquote").inner_text() == hostile
    assert not alerts
    page.close()
