"""The viewer on a real server, and the keys that are let in."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from pigeon_recsys.service.api_keys import key_hash
from pigeon_recsys.service.slot_service import SlotService
from pigeon_recsys_connectors.http_service.app import make_app
from pigeon_recsys_connectors.http_service.settings import HttpSettings
from pigeon_recsys_connectors.http_viewer.routes import viewer_router

KEY = "pigeon_key-of-a-viewer"
OTHER_KEY = "pigeon_key-of-a-feed"
SETTINGS = HttpSettings(
    keys=[
        {"name": "dashboard", "sha256": key_hash(KEY), "scopes": ["viewer"]},
        {"name": "feed", "sha256": key_hash(OTHER_KEY), "scopes": ["slates"]},
    ]
)


def viewer_app(service: SlotService, settings: HttpSettings = SETTINGS) -> FastAPI:
    """Return the service's application with the viewer on it."""
    return make_app(service, settings, pages=[viewer_router])


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an app on a port of its own; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=20)
