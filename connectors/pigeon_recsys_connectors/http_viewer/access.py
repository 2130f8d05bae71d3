"""Who may see the viewer: holders of a key with its scope, from a browser's own pages.

In:  a request's headers.
Out: `Refused`, or nothing.

A browser asks for the key as the password of HTTP Basic; the user name is left aside. So nothing is
kept between requests, and every worker process takes every request. Browsers send such a password
along whoever made them ask, therefore a request that changes anything must come from a page of the
viewer itself, as the browser says.
"""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import urlsplit

from pigeon_recsys_connectors.http_service.access import Access
from pigeon_recsys_connectors.http_service.problems import Problem

SCOPE = "viewer"
CHALLENGE = 'Basic realm="pigeon viewer: the key is the password", charset="UTF-8"'
TITLES = {401: "A key is needed", 403: "This key may not view", 429: "Too many requests"}


class Refused(Exception):
    """A request that is not answered with what it asks for."""

    def __init__(
        self, status: int, title: str, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.title = title
        self.text = text
        self.headers = headers or {}


def check_key(headers: Mapping[str, str], access: Access) -> None:
    """Raise `Refused` without a key that may view now."""
    try:
        access.admit(_password(headers.get("authorization", "")), SCOPE)
    except Problem as problem:
        title = TITLES.get(problem.status, "This may not be seen now")
        told = dict(problem.headers)
        if problem.status == 401:
            told["WWW-Authenticate"] = CHALLENGE
            text = f"Give a key with the scope `{SCOPE}` as the password; any user name will do."
            raise Refused(problem.status, title, text, told) from problem
        raise Refused(problem.status, title, problem.detail, told) from problem


def check_origin(headers: Mapping[str, str]) -> None:
    """Raise `Refused` for a form that another site's page has sent."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        is_own = site == "same-origin"
    else:  # not sent over plain HTTP, except to the loopback
        is_own = urlsplit(headers.get("origin", "")).netloc == headers.get("host", "") != ""
    if not is_own:
        text = "The form was sent from elsewhere. Open the viewer and send it from there."
        raise Refused(403, "Not sent from here", text)


def _password(header: str) -> str | None:
    """Return the password of an Authorization header, None where it has none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        told = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return told.partition(":")[2] or None
