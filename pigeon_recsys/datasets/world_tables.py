"""The tables of a sticker world: what the dataset shows, and what was planted.

In:  the factors of every item, the tastes of every user and what the users did.
Out: Arrow tables, ready to be written. No style factor is in a table the dataset shows.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pigeon_recsys.datasets.sticker_drawing import (
    CONTENT_FACTORS,
    FACTORS,
    STYLE_FACTORS,
    Sticker,
)
from pigeon_recsys.datasets.world_items import caption
from pigeon_recsys.datasets.world_users import UserEvents, UserTastes
from pigeon_recsys.records import LIKE, SKIP

IMAGES_PER_FOLDER = 1000
NUM_FAVOURITES = 3  # moods and props that the truth names for each user
FIRST_SECOND = 1_735_689_600  # 2025-01-01, UTC
NUM_SECONDS = 60 * 86_400  # sixty days


def item_id(seed: int, number: int) -> str:
    """Return the id of a world's item."""
    return f"w{seed}-{number:06d}"


def user_id(seed: int, number: int) -> str:
    """Return the id of a world's user."""
    return f"w{seed}-u{number:05d}"


def image_path(seed: int, number: int) -> str:
    """Return where a world's picture lies, relative to its folder."""
    return f"images/{number // IMAGES_PER_FOLDER:03d}/{item_id(seed, number)}.png"


def item_table(stickers: Sequence[Sticker], seed: int, rng: np.random.Generator) -> pa.Table:
    """Return the catalog as the dataset shows it: content, never style."""
    return pa.table(
        {
            "item_id": [item_id(seed, number) for number in range(len(stickers))],
            "caption": [caption(s.emotion, s.prop, rng) for s in stickers],
            "emotion": [s.emotion for s in stickers],
            "prop": [s.prop for s in stickers],
            "image": [image_path(seed, number) for number in range(len(stickers))],
        }
    )


def item_truth_table(stickers: Sequence[Sticker], seed: int) -> pa.Table:
    """Return all six factors of every item."""
    ids = {"item_id": [item_id(seed, number) for number in range(len(stickers))]}
    return pa.table(ids | {name: [getattr(s, name) for s in stickers] for name in FACTORS})


def user_truth_table(tastes: UserTastes, seed: int) -> pa.Table:
    """Return every user's planted taste, favourites strongest first."""
    columns: dict[str, object] = {"user_id": [user_id(seed, u) for u in range(len(tastes))]}
    for place, (factor, values) in enumerate(STYLE_FACTORS.items()):
        columns[f"main_{factor}"] = [values[code] for code in tastes.main[:, place]]
        columns[f"second_{factor}"] = [values[code] for code in tastes.second[:, place]]
    for ranks, (factor, values) in zip(tastes.ranks, CONTENT_FACTORS.items(), strict=True):
        favourites = np.argsort(ranks, axis=1)[:, :NUM_FAVOURITES]
        columns[f"favourite_{factor}s"] = [[values[code] for code in row] for row in favourites]
    return pa.table(columns)


def event_tables(
    events: Sequence[UserEvents], seed: int, rng: np.random.Generator
) -> tuple[pa.Table, pa.Table]:
    """Return the interactions, sorted by user and time, and the likes with their noise flags."""
    log: dict[str, list[object]] = {"user_id": [], "item_id": [], "event": [], "timestamp": []}
    truth: dict[str, list[object]] = {"user_id": [], "item_id": [], "is_noise": []}
    for number, one in enumerate(events):
        user = user_id(seed, number)
        items = [item_id(seed, place) for place in (*one.liked, *one.skipped)]
        seconds = FIRST_SECOND + rng.choice(NUM_SECONDS, size=len(items), replace=False)
        for place in np.argsort(seconds):
            log["user_id"].append(user)
            log["item_id"].append(items[place])
            log["event"].append(LIKE if place < len(one.liked) else SKIP)
            log["timestamp"].append(int(seconds[place]) * 1_000_000)
        truth["user_id"] += [user] * len(one.liked)
        truth["item_id"] += items[: len(one.liked)]
        truth["is_noise"] += one.is_noise.tolist()
    schema = pa.schema(
        [
            ("user_id", pa.string()),
            ("item_id", pa.string()),
            ("event", pa.string()),
            ("timestamp", pa.timestamp("us", tz="UTC")),
        ]
    )
    return pa.table(log, schema=schema), pa.table(truth)
