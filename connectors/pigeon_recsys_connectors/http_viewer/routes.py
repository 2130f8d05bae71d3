"""The viewer's routes, for an application that is to show it.

    make_app(service, settings, pages=[viewer_router])

    GET  /                      users and slates of late, and a form
    POST /                      the form: makes a slate and answers with its page
    GET  /users/{id}            a user: slates, history, generated items
    GET  /slates/{request_id}   a feed and, beside it, why
    GET  /items/{id}            a generated item, or one of the catalog

The viewer shows personal data, so it is mounted only where the settings ask for it. Slates are
known to the process that made them, the newest of them only; what one worker does not know it asks
the others for (`siblings.py`), and `/?worker=PID` is another one's list.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from pigeon_recsys.errors import PigeonError, StoreError, public_text
from pigeon_recsys.hashed_ids import without_user
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys.slot.request import MAX_ID_CHARS
from pigeon_recsys_connectors.http_service.access import Access
from pigeon_recsys_connectors.http_viewer.access import Refused, check_key, check_origin
from pigeon_recsys_connectors.http_viewer.rendering import Renderer
from pigeon_recsys_connectors.http_viewer.siblings import Siblings
from pigeon_recsys_connectors.http_viewer.slate_form import MAX_BODY
from pigeon_recsys_connectors.http_viewer.views import Page, Views

logger = logging.getLogger(__name__)

ALONE = Siblings()
NOT_FOUND = 404
FORM_TIMEOUT_S = 10.0  # for a form to come in
FORM = "application/x-www-form-urlencoded"


def viewer_router(
    service: SlotService, access: Access, prefix: str = "", siblings: Siblings = ALONE
) -> APIRouter:
    """Return the viewer under a prefix; a key needs the scope `viewer`.

    Raises `SettingsError` where the slot keeps no slates to show.
    """
    views = Views(service, siblings.others)
    answer = _Answers(Renderer(), access, siblings, prefix)
    router = APIRouter(prefix=prefix, include_in_schema=False)

    @router.get("/")
    def home(request: Request, worker: int | None = None) -> Response:
        return answer(request, views.home, worker)

    @router.post("/")
    async def make(request: Request) -> Response:
        body = await _form(request, access)
        return await run_in_threadpool(answer, request, partial(_sent, views, request, body))

    @router.get("/users/{user_id:path}")
    def user(request: Request, user_id: str) -> Response:
        return answer(request, partial(_of_id, views.user, user_id))

    @router.get("/slates/{request_id:path}")
    def slate(request: Request, request_id: str) -> Response:
        return answer(request, partial(_of_id, views.slate, request_id))

    @router.get("/items/{item_id:path}")
    def item(request: Request, item_id: str) -> Response:
        return answer(request, partial(_of_id, views.item, item_id))

    return router


@dataclass(frozen=True)
class _Answers:
    """Turns what a view gives, or why it gives nothing, into a response."""

    renderer: Renderer
    access: Access
    siblings: Siblings
    prefix: str

    def __call__(
        self, request: Request, view: Callable[[], Page], worker: int | None = None
    ) -> Response:
        """Return a page of this worker, of another one that knows it, or why there is none.

        Where `worker` is another one's process, the page is that one's, if it answers.
        """
        root = str(request.scope.get("root_path", "")) + self.prefix
        try:
            check_key(request.headers, self.access)
            elsewhere = None
            if worker is not None:
                elsewhere = self.siblings.page_of(worker, _target(request), request.headers)
            return elsewhere or self.renderer.answer(view(), root)
        except Refused as refused:
            elsewhere = None
            if refused.status == NOT_FOUND and request.method == "GET":
                elsewhere = self.siblings.page(_target(request), request.headers)
            return elsewhere or self.renderer.refusal(refused, root)
        except PigeonError as exc:
            return self.renderer.refusal(_failed(exc, request), root)


def _target(request: Request) -> str:
    """Return the path as it was sent."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return raw.decode("latin-1")


def _of_id(view: Callable[[str], Page], value: str) -> Page:
    """Return the page of an id. Raises `Refused` for one that nothing can have."""
    if not 1 <= len(value) <= MAX_ID_CHARS:
        text = f"An id has 1 to {MAX_ID_CHARS} characters, this one has {len(value)}."
        raise Refused(404, "There is no such page", text)
    return view(value)


def _sent(views: Views, request: Request, body: bytes | Refused | None) -> Page:
    """Return the page that answers a form. Raises `Refused` for what no page of ours sends."""
    if isinstance(body, Refused):
        raise body
    check_origin(request.headers)
    if body is None:
        text = f"A form has at most {MAX_BODY} bytes."
        raise Refused(413, "The form is too long", text)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Refused(415, "Not a form", f"Send {FORM}.")
    return views.make(body)


async def _form(request: Request, access: Access) -> bytes | Refused | None:
    """Return the body of a form, or why it is not read: the key comes first, and time is short."""
    try:
        check_key(request.headers, access)
        async with asyncio.timeout(FORM_TIMEOUT_S):
            return await _read(request)
    except Refused as refused:
        return refused
    except TimeoutError:
        return Refused(408, "The form came too late", "Send it again.")


async def _read(request: Request) -> bytes | None:
    """Return the body, None for one that is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return body


def _failed(exc: PigeonError, request: Request) -> Refused:
    """Return what a page says of an error. The log has all of it, but for the user's id."""
    user_id = request.path_params.get("user_id")
    told = str(exc) if user_id is None else without_user(exc, user_id)
    logger.warning("a page of the viewer failed with %s: %s", type(exc).__name__, told)
    if isinstance(exc, StoreError):
        return Refused(503, "A store does not answer", public_text(exc))
    return Refused(500, "This page failed", public_text(exc))
