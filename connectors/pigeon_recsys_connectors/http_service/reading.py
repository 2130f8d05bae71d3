"""Bodies of requests, read with limits on size and time and parsed strictly.

In:  a request, whatever its sender makes of it.
Out: a parsed body, or the `Problem` it is.
"""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from pigeon_recsys_connectors.http_service.problems import Problem, problem_of_body

Body = TypeVar("Body", bound=BaseModel)

JSON = "application/json"


async def read_body(request: Request, model: type[Body], max_bytes: int, timeout_s: float) -> Body:
    """Return the body. Raises `Problem`: too large, too slow, no JSON, or one with faults."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise Problem("unsupported-media-type", f"Send the header Content-Type: {JSON}.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported-media-type", "Send the body without a Content-Encoding.")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            content = await _read(request, max_bytes)
    except TimeoutError:
        raise Problem("timeout", f"The body did not come in {timeout_s:g} s.") from None
    try:
        return model.model_validate_json(content)
    except ValidationError as exc:
        raise problem_of_body(exc) from None


async def _read(request: Request, max_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(content)


def _too_large(max_bytes: int) -> Problem:
    return Problem("too-large", f"The body has more than the {max_bytes} bytes allowed.")
