"""Pages as answers: HTML that needs no script and nothing from elsewhere.

In:  a page.
Out: a response, with headers that keep browsers from running, fetching, framing or storing.
"""

from urllib.parse import quote

from fastapi import Response

from pigeon_recsys.pages.environment import csp_hash, page_environment, page_style
from pigeon_recsys_connectors.http_viewer.access import Refused
from pigeon_recsys_connectors.http_viewer.views import Page

HERE = "pigeon_recsys_connectors.http_viewer"


class Renderer:
    """Fills templates; threads may share it."""

    def __init__(self) -> None:
        self._environment = page_environment(HERE)
        self._environment.filters |= {"segment": segment, "ms": format_ms}
        self._style = page_style(HERE)
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; img-src 'self' data:; style-src '{csp_hash(self._style)}'; "
                "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            "Cache-Control": "no-store",  # personal data
            "Referrer-Policy": "same-origin",  # addresses hold user ids; forms need their origin
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    def answer(self, page: Page, root: str) -> Response:
        """Return a page; `root` is what its links begin with."""
        template = self._environment.get_template(page.template)
        text = template.render(style=self._style, root=root, **page.values)
        # Ids may hold halves of surrogate pairs, which no encoding takes.
        content = text.encode("utf-8", "replace")
        media_type = "text/html; charset=utf-8"
        return Response(content, page.status, self._headers, media_type)

    def refusal(self, refused: Refused, root: str) -> Response:
        """Return the page that says why there is no other."""
        values = {"title": refused.title, "text": refused.text}
        response = self.answer(Page("refusal.html", values, refused.status), root)
        response.headers.update(refused.headers)
        return response


def segment(value: str) -> str:
    """Return an id as one segment of a path."""
    return quote(value, safe="", errors="replace")


def format_ms(milliseconds: float) -> str:
    """Return a duration as a person says it: `0.42 ms`, `34 ms`, `5.1 s`."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"
