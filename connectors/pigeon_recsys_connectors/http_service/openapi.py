"""What the OpenAPI document says beyond what FastAPI finds: bodies, answers, errors, examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.models import Example
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from pigeon_recsys_connectors.http_service.problems import MEDIA_TYPE, TITLES
from pigeon_recsys_connectors.http_service.reading import JSON

VALIDATION: Literal["validation"] = "validation"
REF = "#/components/schemas/{model}"
SECURITY = "apiKey"
EVERYWHERE = ("internal-error",)
KEYED = (
    "bad-host",
    "unauthorized",
    "forbidden",
    "too-many-requests",
    "unavailable",
    "gateway-timeout",
)
BODIED = ("malformed", "timeout", "too-large", "unsupported-media-type", "bad-request")
DESCRIPTION = """A slot for generated images in a feed that exists: one call at the end of your own
ranking. Errors are problem details (RFC 9457) with all faults of a request at once. Times are epoch
milliseconds, UTC."""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    path: str = Field(description="Of the field, its parts joined by dots.")
    fault: str = Field(description="What is wrong with it.")


class ProblemAnswer(BaseModel):
    """Problem details, RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="The kind of problem, a URN: what programs tell them apart by.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong here.")
    faults: list[Fault] = Field([], description="All that is wrong with the request, at most 50.")


@dataclass(frozen=True)
class Operation:
    """What a document says of one operation."""

    summary: str
    tag: str
    answers: dict[int, tuple[str, Any]]  # by status: what it is, and an example
    scope: str | None = None
    body: type[BaseModel] | None = None
    problems: Sequence[str] = ()  # beside those of every operation of its kind
    headers: dict[str, str] | None = None  # of good answers: what they hold
    media_type: str = JSON

    def responses(self, model: type[BaseModel] | None) -> dict[int | str, dict[str, Any]]:
        """Return all answers by status, in FastAPI's form."""
        found: dict[int | str, dict[str, Any]] = {}
        for status, (description, example) in self.answers.items():
            found[status] = {"description": description}
            if example is not None:
                schema = {"type": "string"} if model is None else _ref(model.__name__)
                found[status]["content"] = {self.media_type: {"schema": schema, "example": example}}
            if self.headers:
                found[status]["headers"] = {
                    name: {"description": told, "schema": {"type": "string"}}
                    for name, told in self.headers.items()
                }
        for status, kinds in self._problems().items():
            found[status] = _problem_response(status, kinds)
        return found

    def extra(self) -> dict[str, Any]:
        """Return what FastAPI does not find out: the body and the key."""
        found: dict[str, Any] = {}
        if self.body is not None:
            schema = _ref(self.body.__name__)
            examples = self.body.model_json_schema().get("examples", [])
            content = {JSON: {"schema": schema, "example": examples[0]}}
            found["requestBody"] = {"required": True, "content": content}
        if self.scope is not None:
            found["security"] = [{SECURITY: []}]
            found["description"] = f"Needs a key with the scope `{self.scope}`."
        return found

    def _problems(self) -> dict[int, list[str]]:
        kinds = [*EVERYWHERE, *self.problems]
        if self.scope is not None:
            kinds += KEYED
        if self.body is not None:
            kinds += BODIED
        by_status: dict[int, list[str]] = {}
        for kind in dict.fromkeys(kinds):
            by_status.setdefault(TITLES[kind][0], []).append(kind)
        return dict(sorted(by_status.items()))


def example(value: object) -> dict[str, Example]:
    """Return the example of a parameter, as FastAPI takes it."""
    return {"example": Example(value=value)}


def set_document(app: FastAPI, models: Sequence[type[BaseModel]], title: str, version: str) -> None:
    """Have the application give a complete document; `models` are those that it refers to."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, models, title, version)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(
    app: FastAPI, models: Sequence[type[BaseModel]], title: str, version: str
) -> dict[str, Any]:
    found = get_openapi(title=title, version=version, description=DESCRIPTION, routes=app.routes)
    referred: list[type[BaseModel]] = [*models, ProblemAnswer]
    _, schemas = models_json_schema([(model, VALIDATION) for model in referred], ref_template=REF)
    components = found.setdefault("components", {})
    components["schemas"] = schemas["$defs"]
    components["securitySchemes"] = {
        SECURITY: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key of the settings; `pigeon-recsys serve new-key` makes one.",
        }
    }
    return found


def _ref(model: str) -> dict[str, str]:
    return {"$ref": REF.format(model=model)}


def _problem_response(status: int, kinds: Sequence[str]) -> dict[str, Any]:
    examples = {kind: {"value": _problem_example(kind)} for kind in kinds}
    content = {MEDIA_TYPE: {"schema": _ref(ProblemAnswer.__name__), "examples": examples}}
    found: dict[str, Any] = {
        "description": "; ".join(TITLES[kind][1] for kind in kinds),
        "content": content,
    }
    if status in (429, 503):
        told = {"description": "Seconds.", "schema": {"type": "string"}}
        found["headers"] = {"Retry-After": told}
    if status == 401:
        challenge = {"description": "How to present a key.", "schema": {"type": "string"}}
        found["headers"] = {"WWW-Authenticate": challenge}
    return found


def _problem_example(kind: str) -> dict[str, Any]:
    status, title = TITLES[kind]
    found: dict[str, Any] = {
        "type": f"urn:pigeon-recsys:{kind}",
        "title": title,
        "status": status,
        "detail": title,
    }
    if kind == "bad-request":
        fault = {"path": "candidates.3.score", "fault": "input should be a finite number"}
        found |= {"detail": "1 fault", "faults": [fault]}
    return found
