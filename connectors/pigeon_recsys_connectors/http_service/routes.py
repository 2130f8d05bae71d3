"""The operations of the API: each reads a request, has the service do its work, and answers.

In:  requests that were let in.
Out: JSON, pictures, or a `Problem`. No work is done on the event loop: slates have threads of their
own, so that slow stores keep nobody waiting for a slate.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel

from pigeon_recsys.hashed_ids import hashed
from pigeon_recsys.records import GENERATED_PREFIX, GeneratedItem, Slate, SlotRequest
from pigeon_recsys.service.api_keys import ApiKey
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.slot.request import MAX_ID_CHARS
from pigeon_recsys_connectors.http_service.access import Access
from pigeon_recsys_connectors.http_service.answers import (
    HealthAnswer,
    TakenAnswer,
    erasure_answer,
    generation_answer,
    item_answer,
    slate_answer,
)
from pigeon_recsys_connectors.http_service.frame import Lifecycle
from pigeon_recsys_connectors.http_service.http_metrics import HttpMetrics
from pigeon_recsys_connectors.http_service.openapi import example
from pigeon_recsys_connectors.http_service.operations import (
    AT_MS,
    GENERATION_ID,
    ITEM_ID,
    USER_ID,
)
from pigeon_recsys_connectors.http_service.problems import RETRY_S, Problem
from pigeon_recsys_connectors.http_service.reading import JSON, Body, read_body
from pigeon_recsys_connectors.http_service.schemas import (
    MAX_MS,
    PLAIN,
    ExposuresPost,
    GenerationPost,
    slate_post,
)
from pigeon_recsys_connectors.http_service.settings import HttpSettings

Done = TypeVar("Done")

SEES_USERS = "viewer"  # the scope
SPARE_THREADS = 4  # for own slates, while all of the slot's threads are busy
AHEAD_MS = 60_000  # another machine's clock may be
PICTURE_AGE_S = 86_400  # a picture never changes, but may be erased, which caches do not learn of
REPLACEMENT = "\ufffd"  # stands for bytes that are no UTF-8
ID_RULE = "Of at most 256 characters, none of them a control character."

UserId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MAX_ID_CHARS,
        pattern=PLAIN,
        description=f"Whose data to erase. {ID_RULE}",
        openapi_examples=example(USER_ID),
    ),
]
AtMs = Annotated[
    int | None,
    Query(
        ge=0,
        le=MAX_MS,
        description="To repeat an erasure: the moment that its answer named, epoch milliseconds.",
        openapi_examples=example(AT_MS),
    ),
]
ItemId = Annotated[
    str,
    Path(
        description=f"Of a generated item: begins with `{GENERATED_PREFIX}`.",
        openapi_examples=example(ITEM_ID),
    ),
]
GenerationId = Annotated[
    str,
    Path(description="Of the ticket: 32 hex digits.", openapi_examples=example(GENERATION_ID)),
]


class Routes:
    """The operations over one service. `close` ends its threads."""

    def __init__(
        self,
        service: SlotService,
        settings: HttpSettings,
        access: Access,
        metrics: HttpMetrics,
        lifecycle: Lifecycle,
    ) -> None:
        slot = service.slot.settings
        self.slate_post = slate_post(slot.max_candidates, settings.max_deadline_ms)
        self._service = service
        self._settings = settings
        self._access = access
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._deadline_ms = min(
            settings.max_deadline_ms,
            settings.max_deadline_ms if slot.deadline_ms is None else slot.deadline_ms,
        )
        self.open()

    def allow(self, scope: str) -> Callable[[Request], Awaitable[None]]:
        """Return a dependency that lets in keys with a scope."""

        async def allowed(request: Request) -> None:
            request.state.key = self._access.check(request, scope)
            _note(request, key=request.state.key.name)

        return allowed

    async def fill_slate(self, request: Request) -> Response:
        """Place a generated item in a user's feed."""
        arrived_s = time.monotonic()
        body = await self._body(request, self.slate_post)
        _note(request, user=hashed(body.user_id))
        asked_ms = self._deadline_ms if body.deadline_ms is None else body.deadline_ms
        record = body.to_record(body.request_id or uuid.uuid4().hex, asked_ms)
        fill = partial(self._fill, record, arrived_s + asked_ms / 1000)
        slack_s = max(0.0, asked_ms / 1000) + self._settings.request_timeout_s
        slate = await self._done(self._slates, fill, slack_s)
        self._metrics.filled(slate)
        return _json(slate_answer(slate))

    async def request_generation(self, request: Request) -> Response:
        """Ask for a picture that is made in its own time."""
        body = await self._body(request, GenerationPost)
        _note(request, user=hashed(body.user_id))
        ask = partial(
            self._service.request_generation, body.user_id, body.reference.to_record(), body.seed
        )
        answer = generation_answer(await self._other(ask), _sees_users(request))
        status = 200 if answer.status == "done" else 202
        return _json(answer, status, {"Location": answer.status_url})

    async def get_generation(self, request: Request, generation_id: GenerationId) -> Response:
        """Say what has become of a picture that was asked for."""
        ticket = await self._other(partial(self._service.generation_status, generation_id))
        if ticket.status == "unknown":
            raise Problem("not-found", "Nobody asked for such a generation, or long ago.")
        return _json(generation_answer(ticket, _sees_users(request)))

    async def get_item(self, request: Request, item_id: ItemId) -> Response:
        """Describe a generated item."""
        item = await self._item(item_id)
        return _json(item_answer(item, _sees_users(request)))

    async def get_image(self, request: Request, item_id: ItemId) -> Response:
        """Return a generated item's picture."""
        item = await self._item(item_id)
        tag = f'"{item.provenance.content_hash}"'
        headers = {
            "ETag": tag,
            "Cache-Control": f"private, max-age={PICTURE_AGE_S}, immutable",
        }
        if tag in request.headers.get("if-none-match", ""):
            return Response(None, 304, headers)
        picture = await self._other(partial(self._service.image, item))
        return Response(picture, 200, headers, "image/png")

    async def take_exposures(self, request: Request) -> Response:
        """Take in what became of slates."""
        body = await self._body(request, ExposuresPost)
        reports = [each.to_record() for each in body.reports]
        await self._other(partial(self._service.take_feedback, reports))
        return _json(TakenAnswer(taken=len(reports)), 202)

    async def erase_user(self, request: Request, user_id: UserId, at_ms: AtMs = None) -> Response:
        """Erase a user everywhere."""
        now_ms = time.time_ns() // 1_000_000
        if REPLACEMENT in user_id:
            raise _fault("user_id", "must be UTF-8, percent-encoded")
        if unknown := sorted(request.query_params.keys() - {"at_ms"}):
            raise _fault(unknown[0], "is no parameter; there is only at_ms")
        if at_ms is not None and at_ms > now_ms + AHEAD_MS:
            raise _fault("at_ms", f"must not lie in the future, got {at_ms}")
        _note(request, user=hashed(user_id))
        moment_ms = now_ms if at_ms is None else at_ms
        again = f"Send it again with ?at_ms={moment_ms}, which erases nothing newer."
        try:
            report = await self._other(partial(self._service.erase_user, user_id, moment_ms))
        except Problem as problem:
            raise replace(problem, detail=again, more={"at_ms": moment_ms}) from None
        if not report.is_complete:
            more = {"at_ms": report.at_ms, "erased": dict(report.erased)}
            told = f"It failed in: {', '.join(report.failed)}. {again}"
            headers = {"Retry-After": str(RETRY_S)}
            raise Problem("incomplete-erasure", told, headers=headers, more=more)
        return _json(erasure_answer(report))

    async def get_health(self) -> Response:
        """Say that the process answers."""
        return _json(HealthAnswer(status="ok", problems=[]))

    async def get_readiness(self) -> Response:
        """Say whether requests should be sent here."""
        if self._lifecycle.is_draining:
            return _json(HealthAnswer(status="draining", problems=["the worker stops"]), 503)
        try:
            problems = await self._other(self._service.problems)
        except Problem as problem:
            problems = [problem.detail]
        if problems:
            return _json(HealthAnswer(status="failing", problems=problems), 503)
        return _json(HealthAnswer(status="ok", problems=[]))

    async def get_metrics(self) -> Response:
        """Return what Prometheus collects."""
        text = await self._other(self._metrics.exposition)
        return Response(text, 200, {"Content-Type": self._metrics.content_type})

    def open(self) -> None:
        """Have threads to work with, again after `close`."""
        num_slates = self._service.slot.settings.threads + SPARE_THREADS
        self._slates = ThreadPoolExecutor(num_slates, "http-slates")
        self._others = ThreadPoolExecutor(self._settings.threads, "http-others")

    def close(self) -> None:
        """Start nothing new; what is at work goes on."""
        self._slates.shutdown(wait=False, cancel_futures=True)
        self._others.shutdown(wait=False, cancel_futures=True)

    def _fill(self, request: SlotRequest, ends_s: float) -> Slate:
        """Fill a slate in what is left of its time, after the wait for a thread."""
        left_ms = max(0.0, (ends_s - time.monotonic()) * 1000)
        return self._service.fill(replace(request, deadline_ms=left_ms))

    async def _item(self, item_id: str) -> GeneratedItem:
        if not item_id.startswith(GENERATED_PREFIX) or len(item_id) > MAX_ID_CHARS:
            raise Problem("not-found", f"Ids of generated items begin with {GENERATED_PREFIX!r}.")
        return await self._other(partial(self._service.item, item_id))

    async def _body(self, request: Request, model: type[Body]) -> Body:
        settings = self._settings
        return await read_body(request, model, settings.max_body_bytes, settings.body_timeout_s)

    async def _other(self, work: Callable[[], Done]) -> Done:
        return await self._done(self._others, work, self._settings.request_timeout_s)

    async def _done(
        self, threads: ThreadPoolExecutor, work: Callable[[], Done], timeout_s: float
    ) -> Done:
        """Have work done by a thread; one that takes too long is left to itself."""
        future = asyncio.get_running_loop().run_in_executor(threads, work)
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            told = f"It took more than {timeout_s:g} s. It may be done later."
            raise Problem("gateway-timeout", told) from None


def _json(answer: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(), status, headers, JSON)


def _sees_users(request: Request) -> bool:
    key: ApiKey = request.state.key
    return SEES_USERS in key.scopes


def _fault(path: str, fault: str) -> Problem:
    return Problem("bad-request", "1 fault", [{"path": path, "fault": fault}])


def _note(request: Request, **fields: str) -> None:
    """Have the access log say something of a request."""
    request.scope.setdefault("state", {}).setdefault("noted", {}).update(fields)
