"""The study page in a real browser: Chromium, driven by playwright."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pigeon_recsys.evaluation.human_study.answers import read_answers
from pigeon_recsys.evaluation.human_study.comparison import Comparison
from pigeon_recsys.evaluation.human_study.page import render_page
from pigeon_recsys.evaluation.human_study.results import analyse
from pigeon_recsys.evaluation.human_study.sheet import Step, draw_sheet
from pigeon_recsys.evaluation.human_study.study import Study
from pigeon_recsys.evaluation.human_study.study_folder import write_study
from tests.evaluation.human_study.simulated_people import METHODS, Chooser, in_order, side_of

playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs playwright. Run: pip install playwright"
)

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "tie": "="}
NUM_STEPS = 16  # 6 pairs and 2 checks, two questions each


@dataclass
class Opened:
    """A page in the browser, and what it complained about or asked for."""

    page: "playwright.Page"
    study: Study
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda asked: self.requests.append(asked.url))

    def begin(self, participant: str) -> list[Step]:
        self.page.get_by_label("Your participant id").fill(participant)
        self.page.get_by_role("button", name="Start").click()
        return draw_sheet(self.study, participant)

    def answer(self, side: str, *, by_key: bool = False) -> None:
        button = self.page.locator(f"#{side}")
        if not by_key:
            button.click()
            return
        self.page.locator(f"#{side}:enabled").wait_for()
        self.page.keyboard.press(KEYS[side])

    def progress(self) -> str:
        return str(self.page.locator("#progress").inner_text())

    def download(self, folder: Path) -> Path:
        with self.page.expect_download() as started:
            self.page.get_by_role("link", name="Download my answers").click()
        path = folder / started.value.suggested_filename
        started.value.save_as(path)
        return path


@pytest.fixture(scope="module")
def address(study: Study, comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("study")
    return write_study(study, comparison, folder).page.as_uri()


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def opened(
    chromium: "playwright.Browser", address: str, study: Study, request: pytest.FixtureRequest
) -> Iterator[Opened]:
    page = chromium.new_page(viewport=request.param, accept_downloads=True)
    opened = Opened(page, study)
    opened.watch()
    page.goto(address)
    yield opened
    page.close()


# What does not depend on the width of the screen is tried once.
on_desktop = pytest.mark.parametrize("opened", [DESKTOP], indirect=True, ids=["desktop"])


def ranking_of(path: Path, study: Study) -> list[tuple[str, ...]]:
    results = analyse(study, read_answers([path], study))
    return [tuple(each.method for each in question.methods) for question in results.questions]


def walk(opened: Opened, steps: list[Step], choose: Chooser, *, by_key: bool) -> None:
    for step in steps:
        opened.answer(side_of(step, choose), by_key=by_key)


@pytest.mark.parametrize("by_key", [False, True], ids=["clicks", "keys"])
def test_a_whole_study_reads_back_as_what_the_person_preferred(
    opened: Opened, tmp_path: Path, by_key: bool
) -> None:
    preferred = METHODS[::-1]
    steps = opened.begin("p1")
    walk(opened, steps, in_order(*preferred), by_key=by_key)
    path = opened.download(tmp_path)
    assert path.name == "answers-p1.json"
    assert ranking_of(path, opened.study) == [preferred, preferred]
    assert not opened.complaints
    assert not [url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))]


@on_desktop
def test_the_page_draws_the_sheet_that_python_draws(opened: Opened) -> None:
    drawn = "participant => drawSheet(participant).map(s => [s.pair, s.question, s.left, s.right])"
    for participant in ("p1", "a.b-c_D9", "x" * 64, *(f"person-{i}" for i in range(50))):
        assert opened.page.evaluate(drawn, participant) == [
            [step.shown.pair_id, step.question, step.left, step.right]
            for step in draw_sheet(opened.study, participant)
        ]


@on_desktop
def test_each_side_shows_its_own_picture(opened: Opened) -> None:
    for step in opened.begin("p1")[:4]:
        for side, code in (("left", step.left), ("right", step.right)):
            shown = opened.page.locator(f"#{side} img").get_attribute("src")
            assert shown == opened.page.evaluate("code => study.images[code]", code)
        opened.answer("left")


@on_desktop
def test_a_reload_goes_on_where_it_stopped(opened: Opened, tmp_path: Path) -> None:
    steps = opened.begin("p7")
    walk(opened, steps[:5], in_order(*METHODS), by_key=False)
    opened.page.reload()
    assert opened.page.get_by_label("Your participant id").input_value() == "p7"
    assert "5 of 16 answers are kept" in opened.page.locator("#resume").inner_text()
    opened.page.get_by_role("button", name="Start").click()
    assert opened.progress() == "Pair 3 of 8, question 2 of 2"
    walk(opened, steps[5:], in_order(*METHODS), by_key=False)
    assert ranking_of(opened.download(tmp_path), opened.study) == [METHODS, METHODS]
    opened.page.reload()
    opened.page.get_by_role("button", name="Start").click()
    assert opened.page.get_by_role("heading", name="Thank you").is_visible()


@on_desktop
def test_answers_of_two_people_at_one_browser_stay_apart(opened: Opened) -> None:
    opened.begin("p1")
    opened.answer("left")
    opened.page.reload()
    opened.begin("p2")
    assert opened.progress() == "Pair 1 of 8, question 1 of 2"


@on_desktop
def test_kept_answers_that_make_no_sense_are_ignored(opened: Opened) -> None:
    for kept in ('{"answers": [{"choice": "up"}], "position": 1}', "[", '{"position": 99}'):
        opened.page.evaluate(
            "kept => localStorage.setItem(`study/${study.id}/answers/p1`, kept)", kept
        )
        opened.page.reload()
        opened.begin("p1")
        assert opened.progress() == "Pair 1 of 8, question 1 of 2"
        opened.page.reload()
    assert not opened.complaints


@on_desktop
def test_without_storage_the_study_works_and_says_so(
    opened: Opened, address: str, tmp_path: Path
) -> None:
    opened.page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked') }})"
    )
    opened.page.goto(address)
    assert opened.page.get_by_text("does not let the page keep your answers").is_visible()
    walk(opened, opened.begin("p1"), in_order(*METHODS), by_key=False)
    assert ranking_of(opened.download(tmp_path), opened.study) == [METHODS, METHODS]
    assert not opened.complaints


@on_desktop
def test_backspace_goes_back_and_shows_what_was_chosen(opened: Opened, tmp_path: Path) -> None:
    steps = opened.begin("p1")
    opened.answer("tie", by_key=True)
    opened.answer("left", by_key=True)
    opened.page.keyboard.press("Backspace")
    assert opened.progress() == "Pair 1 of 8, question 2 of 2"
    assert opened.page.locator("#left").get_attribute("aria-pressed") == "true"
    opened.page.get_by_role("button", name="Back").click()
    assert opened.page.locator("#tie").get_attribute("aria-pressed") == "true"
    assert opened.page.get_by_role("button", name="Back").is_disabled()
    opened.page.keyboard.press("Backspace")  # there is nothing before
    walk(opened, steps, in_order(*METHODS), by_key=True)
    opened.page.keyboard.press("Backspace")  # from the end to the last pair
    assert opened.progress() == "Pair 8 of 8, question 2 of 2"
    opened.answer(side_of(steps[-1], in_order(*METHODS)))
    content = json.loads(opened.download(tmp_path).read_text())
    assert len(content["answers"]) == NUM_STEPS
    assert "tie" not in {answer["choice"] for answer in content["answers"]}


def test_a_double_click_answers_one_question(opened: Opened) -> None:
    opened.begin("p1")
    opened.page.locator("#left:enabled").dblclick()
    assert opened.progress() == "Pair 1 of 8, question 2 of 2"


@on_desktop
def test_an_arrow_with_a_modifier_or_in_a_field_answers_nothing(opened: Opened) -> None:
    field = opened.page.get_by_label("Your participant id")
    field.fill("p12")
    field.press("Backspace")
    assert field.input_value() == "p1"
    opened.page.get_by_role("button", name="Start").click()
    opened.page.locator("#left:enabled").wait_for()
    opened.page.keyboard.press("Alt+ArrowLeft")
    assert opened.progress() == "Pair 1 of 8, question 1 of 2"


@on_desktop
def test_the_text_to_copy_is_what_would_be_downloaded(opened: Opened, tmp_path: Path) -> None:
    walk(opened, opened.begin("p1"), in_order(*METHODS), by_key=False)
    opened.page.get_by_text("If the download does not work").click()
    copied = opened.page.locator("#copy").input_value()
    assert copied == opened.download(tmp_path).read_text()


@on_desktop
def test_an_unusable_participant_id_does_not_start(opened: Opened) -> None:
    opened.begin("Ann Smith")
    assert opened.page.get_by_role("heading", name="Which picture?").is_visible()


@on_desktop
def test_the_address_fills_in_the_participant(opened: Opened, address: str) -> None:
    opened.page.goto(f"{address}#participant=p42")
    assert opened.page.get_by_label("Your participant id").input_value() == "p42"


def test_alternative_texts_tell_places_and_nothing_else(opened: Opened) -> None:
    opened.begin("p1")
    texts = opened.page.locator("#step img:visible").evaluate_all("all => all.map(i => i.alt)")
    liked = [f"Liked picture {number} of 5" for number in range(1, 6)]
    assert texts == [*liked, "The picture that was asked for", "Left picture", "Right picture"]
    loaded = "all => all.every(i => i.complete && i.naturalWidth > 0)"
    assert opened.page.locator("#step img:visible").evaluate_all(loaded)


def test_a_step_fits_the_screen_and_never_scrolls_sideways(opened: Opened) -> None:
    opened.begin("p1")
    size = opened.page.viewport_size
    wide, high = opened.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    )
    assert wide <= size["width"]
    assert high <= size["height"]


@on_desktop
def test_the_new_question_is_announced_and_focus_is_visible(opened: Opened) -> None:
    opened.begin("p1")
    opened.answer("left")
    focused = opened.page.evaluate("document.activeElement.id")
    assert focused == "question"
    opened.page.locator("#left:enabled").wait_for()
    opened.page.keyboard.press("Tab")
    outline = opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert opened.page.evaluate("document.activeElement.id") == "left"
    assert outline == "solid"


def test_hovering_does_not_look_like_a_choice(opened: Opened) -> None:
    """A pointer left where it chose would seem to have chosen again."""
    opened.begin("p1")
    opened.page.locator("#left:enabled").wait_for()
    colour = "id => getComputedStyle(document.getElementById(id)).borderColor"
    opened.page.locator("#left").hover()
    hovered = opened.page.evaluate(colour, "left")
    opened.page.evaluate("document.getElementById('left').setAttribute('aria-pressed', 'true')")
    assert opened.page.evaluate(colour, "left") != hovered


@on_desktop
def test_the_policy_stops_any_other_script(opened: Opened) -> None:
    opened.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); }"
    )
    assert opened.page.evaluate("window.ran") is None


def test_a_hostile_text_is_shown_and_runs_nothing(
    chromium: "playwright.Browser", study: Study, comparison: Comparison, tmp_path: Path
) -> None:
    hostile = "</script><img src=x onerror=alert(1)>"
    tasks = tuple(task.model_copy(update={"text": hostile}) for task in comparison.tasks)
    page_file = tmp_path / "study.html"
    page_file.write_text(render_page(study, comparison.model_copy(update={"tasks": tasks})))
    opened = Opened(chromium.new_page(), study)
    opened.watch()
    opened.page.goto(page_file.as_uri())
    opened.begin("p1")
    assert opened.page.locator("#text").inner_text() == hostile
    assert not opened.complaints
    opened.page.close()
