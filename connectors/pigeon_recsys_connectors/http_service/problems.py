"""What goes wrong, as callers are told of it: problem details by RFC 9457.

In:  an error, of ours or of the framework's.
Out: `application/problem+json` with all faults at once; no stack trace, nothing of the body.

    {"type": "urn:pigeon-recsys:bad-request", "title": "The request has faults", "status": 422,
     "detail": "2 faults", "faults": [{"path": "candidates.3.score", "fault": "must be …"}]}
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from pydantic import ValidationError

from pigeon_recsys.errors import (
    GenerationError,
    GeneratorBusy,
    LogError,
    NotConfigured,
    PigeonError,
    RequestError,
    StoreError,
    UnknownItem,
    UnknownUser,
)

MEDIA_TYPE = "application/problem+json"
LISTED_FAULTS = 50
MAX_DETAIL = 1_000  # characters
RETRY_S = 1
BUSY_RETRY_S = 5
PATH = re.compile(r"([A-Za-z0-9_.\[\]]+):? (.*)", re.DOTALL)  # of a fault that is one line

TITLES = {
    "malformed": (400, "The request cannot be read"),
    "bad-host": (400, "The header Host names another service"),
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden": (403, "The API key does not allow this"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "timeout": (408, "The request took too long to come in"),
    "conflict": (409, "What is asked for cannot be made as things are"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The body must be JSON"),
    "bad-request": (422, "The request has faults"),
    "too-many-requests": (429, "Too many requests with this key"),
    "internal-error": (500, "Something went wrong in the service"),
    "not-configured": (501, "The service is not set up for this"),
    "unavailable": (503, "A part of the service fails or is busy"),
    "incomplete-erasure": (503, "The erasure is not complete"),
    "gateway-timeout": (504, "The answer took too long"),
}


@dataclass
class Problem(Exception):
    """An answer that is an error."""

    kind: str  # of TITLES
    detail: str
    faults: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)  # further members

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TITLES[self.kind][0]

    def body(self) -> bytes:
        """Return the problem as JSON."""
        status, title = TITLES[self.kind]
        told = {
            "type": f"urn:pigeon-recsys:{self.kind}",
            "title": title,
            "status": status,
            "detail": self.detail[:MAX_DETAIL],
            **({"faults": list(self.faults)} if self.faults else {}),
            **self.more,
        }
        return json.dumps(told).encode()  # in ASCII, so that it can hold any text

    def response(self) -> Response:
        """Return the answer."""
        return Response(self.body(), self.status, dict(self.headers), MEDIA_TYPE)


def problem_of_body(exc: ValidationError) -> Problem:
    """Return what is wrong with a body: no JSON, or JSON with faults."""
    errors = exc.errors(include_input=False, include_url=False, include_context=False)
    if errors[0]["type"] == "json_invalid":
        return Problem("malformed", errors[0]["msg"])
    faults = [
        {"path": ".".join(map(str, each["loc"])), "fault": _lower(each["msg"])} for each in errors
    ]
    return _problem_of_faults(faults)


def problem_of_error(exc: PigeonError) -> Problem | None:
    """Return what a caller is told of an error, None for one that is nobody's but ours."""
    match exc:
        case RequestError():
            return _problem_of_faults([_parsed(each) for each in exc.faults])
        case UnknownUser():
            return _problem_of_faults([{"path": "user_id", "fault": str(exc)}])
        case GeneratorBusy():
            return Problem("unavailable", str(exc), headers={"Retry-After": str(BUSY_RETRY_S)})
        case GenerationError():
            return Problem("conflict", str(exc))
        case UnknownItem():
            return Problem("not-found", str(exc))
        case NotConfigured():
            return Problem("not-configured", str(exc))
        case StoreError() | LogError():
            told = "A store or log of the service fails. The request may be sent again."
            return Problem("unavailable", told, headers={"Retry-After": str(RETRY_S)})
    return None


def _problem_of_faults(faults: Sequence[Mapping[str, str]]) -> Problem:
    num = len(faults)
    detail = f"{num} fault{'s' * (num != 1)}"
    if num > LISTED_FAULTS:
        detail += f", of which {LISTED_FAULTS} are listed"
    return Problem("bad-request", detail, faults[:LISTED_FAULTS])


def _parsed(line: str) -> dict[str, str]:
    """Part a fault's line into path and fault."""
    found = PATH.fullmatch(line)
    if found is None:
        return {"path": "", "fault": line}
    path = found[1].rstrip(":").replace("[", ".").replace("]", "")
    return {"path": path, "fault": found[2]}


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:MAX_DETAIL]
