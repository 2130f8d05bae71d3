"""What the OpenAPI document says of each operation, with an example of every answer."""

from pydantic import BaseModel

from pigeon_recsys.generation.xmp import GENERATED as SOURCE_TYPE
from pigeon_recsys_connectors.http_service.openapi import Operation
from pigeon_recsys_connectors.http_service.schemas import ExposuresPost, GenerationPost

USER_ID, AT_MS = "ada", 1_767_225_600_000
ITEM_ID, GENERATION_ID = "gen-3fc9a1b2c3d4e5f6", "9f86d081884c7d659a2feaa0c55ad015"
PLACEMENT = {
    "position": 1,
    "item_id": ITEM_ID,
    "score": 0.31,
    "is_generated": True,
    "probability": 0.31,
    "creative_id": None,
    "image_url": f"/v1/items/{ITEM_ID}/image",
}
SLATE = {
    "request_id": "r-81f3",
    "placements": [
        {
            "position": 0,
            "item_id": "item-08",
            "score": 3.1,
            "is_generated": False,
            "probability": 0.4,
            "creative_id": None,
            "image_url": None,
        },
        PLACEMENT,
    ],
    "reason": f"generated item {ITEM_ID} in place 2",
    "rung": "stored",
}
ITEM = {
    "item_id": ITEM_ID,
    "image_url": f"/v1/items/{ITEM_ID}/image",
    "digital_source_type": SOURCE_TYPE,
    "reason": "new likes",
    "provenance": {
        "content_hash": "3fc9a1b2c3d4e5f6" * 4,
        "model": "mini",
        "weights_version": "a1b2c3",
        "history_hash": "0f1e2d3c4b5a6978",
        "reference": {"item_id": "item-07", "text": "cake"},
        "reference_mask_ratio": 0.4,
        "steps": 4,
        "history_score": 0.8,
        "reference_score": 0.7,
        "checks_passed": ["sound", "not_blank"],
        "created_ms": AT_MS,
        "user_id": None,
        "history_item_ids": None,
        "seed": None,
        "token_seed": None,
    },
}
QUEUED = {
    "generation_id": GENERATION_ID,
    "status": "queued",
    "status_url": f"/v1/generations/{GENERATION_ID}",
    "reason": "",
    "item": None,
}
DONE = {**QUEUED, "status": "done", "item": ITEM}
OK = {"status": "ok", "problems": []}
FAILING = {"status": "failing", "problems": ["the store of items fails; the log says why"]}
ERASED = {
    "at_ms": AT_MS,
    "erased": {"items": 2, "history": 1, "images": 8, "index": 2, "memory": 3, "log": 3},
}
METRICS_TEXT = '# TYPE pigeon_slates_total counter\npigeon_slates_total{rung="stored"} 1.0\n'
LOCATION = {"Location": "The ticket's URL, to ask again."}


def operations(slate_post: type[BaseModel]) -> dict[str, Operation]:
    """Return every operation by its id."""
    return {
        "fill_slate": Operation(
            "Place a generated item in a user's feed",
            "slates",
            {200: ("The slate; the caller's own where no generated item merits a place", SLATE)},
            scope="slates",
            body=slate_post,
        ),
        "request_generation": Operation(
            "Ask for a picture that is made in its own time",
            "generations",
            {202: ("It is being made", QUEUED), 200: ("It had been made before", DONE)},
            scope="generations",
            body=GenerationPost,
            problems=("conflict", "not-found", "not-configured"),
            headers=LOCATION,
        ),
        "get_generation": Operation(
            "Say what has become of a picture that was asked for",
            "generations",
            {200: ("Its state", DONE)},
            scope="generations",
            problems=("not-found", "bad-request", "not-configured"),
        ),
        "get_item": Operation(
            "Describe a generated item",
            "items",
            {200: ("The item and where its picture comes from", ITEM)},
            scope="items",
            problems=("not-found", "bad-request", "not-configured"),
        ),
        "get_image": Operation(
            "Return a generated item's picture",
            "items",
            {
                200: ("A PNG that says of itself that it was generated", "(bytes)"),
                304: ("Known", None),
            },
            scope="items",
            problems=("not-found", "bad-request", "not-configured"),
            headers={"ETag": "Names the picture.", "Cache-Control": "For how long it may be kept."},
            media_type="image/png",
        ),
        "take_exposures": Operation(
            "Report what became of slates",
            "feedback",
            {202: ("All reports are taken", {"taken": 1})},
            scope="feedback",
            body=ExposuresPost,
            problems=("not-configured",),
        ),
        "erase_user": Operation(
            "Erase a user everywhere",
            "users",
            {200: ("Nothing of the user is left, in any place", ERASED)},
            scope="erase",
            problems=("not-found", "bad-request", "incomplete-erasure", "not-configured"),
        ),
        "get_health": Operation("Say that the process answers", "health", {200: ("It does", OK)}),
        "get_readiness": Operation(
            "Say whether requests should be sent here",
            "health",
            {200: ("They should", OK), 503: ("They should not", FAILING)},
        ),
        "get_metrics": Operation(
            "Return what Prometheus collects",
            "health",
            {200: ("Prometheus' text format", METRICS_TEXT)},
            scope="metrics",
            media_type="text/plain",
        ),
    }
