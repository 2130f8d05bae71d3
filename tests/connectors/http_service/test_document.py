"""What the OpenAPI document promises holds for requests that schemathesis makes up from it.

Fakes are behind. No answer is a server error, none is undocumented, each has the shape that is
stated, and what breaks the document's rules is refused.
"""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from pigeon_recsys_connectors.http_service.app import make_app
from tests.connectors.http_service.conftest import ALL_KEY, bearer, settings_with_keys
from tests.connectors.http_service.world import small_world

EXAMPLES = 25  # of each operation
OPERATIONS = (
    ("post", "/v1/slates"),
    ("post", "/v1/generations"),
    ("get", "/v1/generations/{generation_id}"),
    ("get", "/v1/items/{item_id}"),
    ("get", "/v1/items/{item_id}/image"),
    ("post", "/v1/exposures"),
    ("delete", "/v1/users/{user_id}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
)
HOLDS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.missing_required_header,
)


@pytest.fixture(scope="module")
def schema() -> Iterator[BaseSchema]:
    """The document of an application over fakes."""
    service = small_world().service()
    app = make_app(service, settings_with_keys(burst=1_000_000))
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    service.close()


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_as_the_document_says(
    schema: BaseSchema, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.path_parameters):
        return  # there is nothing that could be wrong with it

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Case) -> None:
        case.call_and_validate(headers=bearer(ALL_KEY), checks=HOLDS)

    holds()


def test_all_operations_are_tried(schema: BaseSchema) -> None:
    assert {(each.ok().method, each.ok().path) for each in schema.get_all_operations()} == {
        (method, path) for method, path in OPERATIONS
    }
