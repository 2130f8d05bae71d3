"""The slot service as a web application.

    POST   /v1/slates               a slate for a user's feed
    POST   /v1/generations          a picture that is made in its own time: a ticket with its URL
    GET    /v1/generations/{id}     what has become of it
    GET    /v1/items/{id}           a generated item; its picture is at …/image
    POST   /v1/exposures            what became of slates: shown, click, like, skip, hide
    DELETE /v1/users/{id}           erasure, everywhere
    GET    /healthz /readyz /metrics /openapi.json

A request passes frame.py, access.py and reading.py before an operation of routes.py sees it. There
are no pages about the API, which would need assets of others: /openapi.json has it all.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from pigeon_recsys import __version__
from pigeon_recsys.errors import PigeonError
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys_connectors.http_service.access import Access
from pigeon_recsys_connectors.http_service.answers import (
    GENERATION_URL,
    IMAGE_URL,
    ITEM_URL,
    ErasureAnswer,
    GenerationAnswer,
    HealthAnswer,
    ItemAnswer,
    SlateAnswer,
    TakenAnswer,
)
from pigeon_recsys_connectors.http_service.frame import Frame, Lifecycle
from pigeon_recsys_connectors.http_service.http_metrics import HttpMetrics
from pigeon_recsys_connectors.http_service.openapi import Operation, set_document
from pigeon_recsys_connectors.http_service.operations import operations
from pigeon_recsys_connectors.http_service.problems import Problem, problem_of_error
from pigeon_recsys_connectors.http_service.routes import Routes
from pigeon_recsys_connectors.http_service.schemas import ExposuresPost, GenerationPost
from pigeon_recsys_connectors.http_service.settings import HttpSettings

TITLE = "pigeon-recsys slot service"
MAX_CORS_AGE_S = 600
ANSWERS = (SlateAnswer, GenerationAnswer, ItemAnswer, TakenAnswer, ErasureAnswer, HealthAnswer)

MakeRouter = Callable[[SlotService, Access], APIRouter]  # of pages beside the API


def make_app(
    service: SlotService,
    settings: HttpSettings,
    metrics: HttpMetrics | None = None,
    lifecycle: Lifecycle | None = None,
    pages: Sequence[MakeRouter] = (),
) -> FastAPI:
    """Return the application over an open service; whoever opened the service closes it."""
    metrics, lifecycle = metrics or HttpMetrics(), lifecycle or Lifecycle()
    access = Access(settings)
    routes = Routes(service, settings, access, metrics, lifecycle)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        routes.open()
        yield
        routes.close()

    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.include_router(_api(routes))
    for make_router in pages:
        app.include_router(make_router(service, access), include_in_schema=False)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(PigeonError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_faults)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=("ETag", "Location", "Retry-After"),
            max_age=MAX_CORS_AGE_S,
        )
    app.add_middleware(Frame, settings=settings, metrics=metrics, lifecycle=lifecycle)
    set_document(
        app, (*ANSWERS, routes.slate_post, GenerationPost, ExposuresPost), TITLE, __version__
    )
    return app


def _api(routes: Routes) -> APIRouter:
    router = APIRouter()
    told = operations(routes.slate_post)
    declared: list[tuple[str, str, Callable[..., Any], type | None]] = [
        ("POST", "/v1/slates", routes.fill_slate, SlateAnswer),
        ("POST", "/v1/generations", routes.request_generation, GenerationAnswer),
        ("GET", GENERATION_URL, routes.get_generation, GenerationAnswer),
        ("GET", ITEM_URL, routes.get_item, ItemAnswer),
        ("GET", IMAGE_URL, routes.get_image, None),
        ("POST", "/v1/exposures", routes.take_exposures, TakenAnswer),
        ("DELETE", "/v1/users/{user_id:path}", routes.erase_user, ErasureAnswer),
        ("GET", "/healthz", routes.get_health, HealthAnswer),
        ("GET", "/readyz", routes.get_readiness, HealthAnswer),
        ("GET", "/metrics", routes.get_metrics, None),
    ]
    for method, path, endpoint, model in declared:
        operation: Operation = told[endpoint.__name__]
        scope = operation.scope
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            operation_id=endpoint.__name__,
            summary=operation.summary,
            tags=[operation.tag],
            status_code=next(iter(operation.answers)),
            response_model=None,
            response_class=Response,
            responses=operation.responses(model),
            openapi_extra=operation.extra(),
            dependencies=[] if scope is None else [Depends(routes.allow(scope))],
        )
    return router


async def _answer_problem(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Problem)
    return exc.response()


async def _answer_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, PigeonError)
    problem = problem_of_error(exc)
    if problem is None:
        raise exc  # the frame answers what nobody expected
    return problem.response()


async def _answer_faults(request: Request, exc: Exception) -> Response:
    """Answer faults in the path or the query."""
    assert isinstance(exc, RequestValidationError)
    faults = [
        {"path": ".".join(map(str, each["loc"][1:])), "fault": str(each["msg"])}
        for each in exc.errors()
    ]
    num = len(faults)
    return Problem("bad-request", f"{num} fault{'s' * (num != 1)}", faults).response()


async def _answer_http(request: Request, exc: Exception) -> Response:
    """Answer for a path or a method that is not here."""
    assert isinstance(exc, HTTPException)
    if exc.status_code == 405:
        headers = dict(exc.headers or {})
        told = f"Allowed: {headers.get('Allow', 'none')}."
        return Problem("method-not-allowed", told, headers=headers).response()
    if exc.status_code == 404:
        return Problem("not-found", "No such path. /openapi.json lists all.").response()
    return Problem("malformed", str(exc.detail)).response()
