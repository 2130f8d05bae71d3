"""The page holds everything it shows, and nothing in a dataset can change its markup."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from pigeon_recsys.demo.page import (
    draw_chart,
    format_score,
    hidden_cells,
    png_uri,
    render_page,
    write_page,
)
from pigeon_recsys.records import Reference, SweepImage, TokenMask

HOSTILE = """"'><script>alert(1)</script></style><img src=x onerror="alert(2)">{{ 7*7 }}"""
MIN_CONTRAST = 4.5  # WCAG 2.2, level AA, text of normal size


class Tags(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def report_saying(text, report, story_of):
    """A report with the same text in every place a dataset or a caller controls."""
    story = story_of(text, 8, 0, Reference("sticker-6", text))
    named = {"title": text}
    story = replace(
        story,
        slate=replace(story.slate, reason=text),
        shown=tuple(replace(item, **named) for item in story.shown),
        history=tuple(replace(item, **named) for item in story.history),
        reference_item=replace(story.reference_item, **named),
    )
    return replace(report, dataset=text, settings={text: text}, counts={text: 1}, users=(story,))


def test_hostile_text_stays_text(report, story_of):
    page = render_page(report_saying(HOSTILE, report, story_of))
    tags = Tags(page)
    harmless = Tags(render_page(report_saying("plain", report, story_of)))
    assert [tag for tag, _ in tags.found] == [tag for tag, _ in harmless.found]
    assert not tags.named("script")
    assert all(image["src"].startswith("data:image/png;base64,") for image in tags.named("img"))
    assert not [name for _, held in tags.found for name in held if name.startswith("on")]
    assert page.count("<style>") == page.count("</style>") == 1
    assert "{{ 7*7 }}" in page


def test_the_page_refers_to_nothing_outside_itself(report):
    tags = Tags(render_page(report))
    links = [held[name] for _, held in tags.found for name in ("src", "href") if name in held]
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert not tags.named("link")
    policy = next(meta for meta in tags.named("meta") if "http-equiv" in meta)
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_generated_item_is_marked_and_labelled_once_a_story(report):
    page = render_page(report)
    assert page.count('class="badge">Generated for you<') == 2  # the other two placed none
    assert page.count(">AI-generated image<") == 2
    assert page.count('alt="AI-generated image: ') == 2
    assert page.count('class="tag">Chosen<') == 3


def test_every_sweep_image_stands_with_its_ratio_and_scores(report):
    page = render_page(replace(report, users=report.users[:1]))
    for image in report.users[0].slate.generation.sweep:
        assert f'alt="Made at mask ratio {image.reference_mask_ratio}' in page
        assert f"<dd>{image.history_score:.3f}</dd>" in page
        assert f"<dd>{image.reference_score:.3f}</dd>" in page


def test_a_cold_start_story_gives_its_reason_and_no_sweep(report_of, cold_start_story):
    page = render_page(report_of(cold_start_story))
    assert "unknown user: cold-start slate" in page
    assert "No liked images are known for this user." in page
    assert 'class="sweep-image' not in page
    assert "Generated for you" not in page


def test_a_report_without_stories_or_timings_still_makes_a_page(report):
    page = render_page(replace(report, users=(), timings=(), peak_memory_mib=None))
    assert "0.00 s in all" in page


def test_the_page_is_written_whole(report, tmp_path):
    write_page(report, tmp_path / "out" / "index.html")
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8") == render_page(report)


def test_the_overlay_covers_exactly_the_hidden_tokens():
    """Two rows of three tokens, the second of row 0 and the first of row 1 hidden."""
    mask = TokenMask("a", 2, 3, (True, False, True, False, True, True))
    assert hidden_cells(mask) == "M1 0h1v1h-1zM0 1h1v1h-1z"


def test_a_large_picture_is_stored_smaller_and_a_small_one_as_it_is():
    rng = np.random.default_rng(0)
    for height, width, stored in [(900, 600, (213, 320)), (48, 64, (64, 48))]:
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        content = base64.b64decode(png_uri(pixels).removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(content)).size == stored


def test_larger_scores_stand_higher_in_the_chart():
    """Scores 0 and 1 with 12 % margin: heights 12 and 88 of 100, counted from the top."""
    pixels = np.zeros((1, 1, 3), np.uint8)
    sweep = [SweepImage(0.0, pixels, 0.0, 1.0, 0.5), SweepImage(1.0, pixels, 1.0, 0.0, 0.5)]
    lines = dict(draw_chart(sweep).lines)
    assert lines["history"] == "M0.5 88.0L1.5 12.0"
    assert lines["reference"] == "M0.5 12.0L1.5 88.0"
    assert lines["total"] == "M0.5 50.0L1.5 50.0"
    assert draw_chart(sweep[:1]) is None
    assert draw_chart([*sweep, replace(sweep[0], score=float("nan"))]) is None


@pytest.mark.parametrize(
    ("score", "said"), [(0.71449, "0.714"), (1234.0, "1,234"), (float("nan"), "unknown")]
)
def test_a_score_is_short(score, said):
    assert format_score(score) == said


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    shares = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast_in_both_themes(theme):
    style = files("pigeon_recsys.demo").joinpath("page.css").read_text(encoding="utf-8")
    color = dict(
        re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", style, re.S)[theme])
    )
    backgrounds = ("paper", "card", "tile", "accent-soft")
    pairs = [(text, back) for text in ("ink", "muted", "accent") for back in backgrounds]
    pairs += [(text, back) for text in ("history", "reference") for back in ("card", "accent-soft")]
    for text, back in [*pairs, ("on-accent", "accent")]:
        high, low = sorted((luminance(color[text]), luminance(color[back])), reverse=True)
        contrast = (high + 0.05) / (low + 0.05)
        assert contrast >= MIN_CONTRAST, f"{text} on {back}: {contrast:.2f}"
