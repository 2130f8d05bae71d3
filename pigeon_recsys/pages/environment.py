"""The template engine of all pages: every value is escaped, a name that is missing raises.

In:  the package that holds a page's templates.
Out: an engine for them and for `macros.html`; the style of the page, after that of all pages.
"""

import base64
import hashlib
from functools import partial
from importlib.resources import files

from jinja2 import ChoiceLoader, Environment, FunctionLoader, StrictUndefined

from pigeon_recsys.pages.drawing import (
    chosen_image,
    draw_chart,
    format_date,
    format_score,
    hidden_cells,
    png_uri,
)

SHARED = "pigeon_recsys.pages"


def page_environment(package: str) -> Environment:
    """Return the engine for the templates that lie in a package."""
    environment = Environment(
        loader=ChoiceLoader([FunctionLoader(partial(_find, place)) for place in (package, SHARED)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "png_uri": png_uri,
        "score": format_score,
        "date": format_date,
        "hidden_cells": hidden_cells,
        "chosen": chosen_image,
        "chart": draw_chart,
    }
    return environment


def page_style(package: str) -> str:
    """Return what `page.css` of a package adds to the style of all pages, and that style."""
    return _text(SHARED, "base.css") + _text(package, "page.css")


def csp_hash(text: str) -> str:
    """Return the source expression that allows exactly this inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _find(package: str, name: str) -> str | None:
    return _text(package, name) if files(package).joinpath(name).is_file() else None


def _text(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
