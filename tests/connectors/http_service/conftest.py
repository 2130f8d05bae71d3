"""The application in this process, over fakes, with a key for each scope."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from pigeon_recsys.service.api_keys import SCOPES, key_hash
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys_connectors.http_service.app import make_app
from pigeon_recsys_connectors.http_service.settings import HttpSettings, KeySettings
from tests.connectors.http_service.world import World, small_world

ALL_KEY = "key-of-all"


def settings_with_keys(**changes: object) -> HttpSettings:
    """Return settings with one key for each scope, named like it, and one for all."""
    scoped = {f"key-of-{scope}": (scope, [scope]) for scope in SCOPES}
    scoped[ALL_KEY] = ("all", list(SCOPES))
    keys = [
        KeySettings(name=name, sha256=key_hash(key), scopes=frozenset(scopes))
        for key, (name, scopes) in scoped.items()
    ]
    return HttpSettings.model_validate({"keys": keys, **changes})


def bearer(key: str = ALL_KEY) -> dict[str, str]:
    """Return the headers of a caller with a key."""
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def world() -> World:
    return small_world()


@pytest.fixture
def service(world: World) -> Iterator[SlotService]:
    opened = world.service()
    yield opened
    opened.close()


@pytest.fixture
def client(service: SlotService) -> Iterator[TestClient]:
    """A caller who may do anything."""
    with TestClient(make_app(service, settings_with_keys()), headers=bearer()) as found:
        yield found
