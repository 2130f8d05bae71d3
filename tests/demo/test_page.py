"""The page holds everything it shows, and nothing in a dataset can change its markup."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

from pigeon_recsys.demo.page import render_page, write_page
from pigeon_recsys.generation.picture_file import decode_provenance
from pigeon_recsys.generation.xmp import GENERATED
from pigeon_recsys.records import Reference

HOSTILE = """"'><script>alert(1)</script></style><img src=x onerror="alert(2)">{{ 7*7 }}"""


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


def test_every_generated_picture_says_so_and_no_other_does(report):
    """The placed picture is shown to pick the user by, in the sweep and in the slate."""
    page = render_page(report)
    shown = re.findall(r'src="data:image/png;base64,([^"]+)"[^>]* alt="([^"]*)"', page)
    assert len(shown) == page.count("<img ")
    for content, alt in shown:
        is_made = not alt or alt.startswith(("AI-generated", "Made at mask ratio"))
        source = decode_provenance(base64.b64decode(content)).source_type
        assert source == (GENERATED if is_made else None), alt
    assert any(alt.startswith("AI-generated") for _, alt in shown)
    assert any(alt.startswith("Liked") for _, alt in shown)
