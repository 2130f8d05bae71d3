"""The template engine of all pages, and the colours they share."""

import re

import pytest
from jinja2 import UndefinedError

from pigeon_recsys.pages.environment import csp_hash, page_environment, page_style

MIN_CONTRAST = 4.5  # WCAG 2.2, level AA, text of normal size
DEMO = "pigeon_recsys.demo"


def test_every_value_is_escaped():
    page = page_environment(DEMO).from_string("{{ value }}")
    assert page.render(value="<b>") == "&lt;b&gt;"


def test_a_name_that_is_missing_raises():
    with pytest.raises(UndefinedError):
        page_environment(DEMO).from_string("{{ nobody }}").render()


def test_templates_of_a_package_use_the_shared_macros():
    page = page_environment(DEMO).from_string(
        '{% from "macros.html" import fact %}{{ fact(1, 2) }}'
    )
    assert page.render() == "<div><dt>1</dt><dd>2</dd></div>"


def test_a_hash_allows_exactly_one_text():
    """The sha256 of the empty text, as any tool gives it."""
    assert csp_hash("") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert csp_hash("a") != csp_hash("b")


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG defines it."""
    shares = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_enough_contrast_in_both_themes(theme):
    style = page_style("pigeon_recsys.demo")
    color = dict(
        re.findall(r"--([\w-]+): (#\w{6})", re.findall(r":root \{(.*?)\}", style, re.S)[theme])
    )
    backgrounds = ("paper", "card", "tile", "accent-soft")
    pairs = [(text, back) for text in ("ink", "muted", "accent") for back in backgrounds]
    pairs += [
        (text, back)
        for text in ("history", "reference")
        for back in ("card", "accent-soft", "tile")
    ]
    for text, back in [*pairs, ("on-accent", "accent")]:
        high, low = sorted((luminance(color[text]), luminance(color[back])), reverse=True)
        contrast = (high + 0.05) / (low + 0.05)
        assert contrast >= MIN_CONTRAST, f"{text} on {back}: {contrast:.2f}"
