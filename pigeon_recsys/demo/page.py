"""The demo as one self-contained page that needs no network, no server and no script.

In:  a `DemoReport`.
Out: `index.html`: `page.html` and `page.css` filled in, every picture inside as a data URI.

Ids and titles come from a dataset, so the template engine escapes every value, and the page's
content security policy forbids scripts and anything fetched.
"""

from pathlib import Path

from pigeon_recsys.demo.report import DemoReport, duration, story_outcome
from pigeon_recsys.files import write_text_atomic
from pigeon_recsys.pages.environment import page_environment, page_style

HERE = "pigeon_recsys.demo"


def write_page(report: DemoReport, path: Path) -> None:
    """Write `index.html`, whole or not at all."""
    write_text_atomic(path, render_page(report))


def render_page(report: DemoReport) -> str:
    """Return the page as HTML."""
    environment = page_environment(HERE)
    environment.filters |= {"duration": duration, "outcome": story_outcome}
    page = environment.get_template("page.html")
    return page.render(report=report, style=page_style(HERE))
