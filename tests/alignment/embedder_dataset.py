"""A small dataset for the tests of the image embedder: red, green and blue pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import Split, users_in

COLOURS = {"red": (230, 20, 20), "green": (20, 230, 20), "blue": (20, 20, 230)}
SHAPES = ("square", "stripe")
ITEMS_PER_KIND = 4
SIDE = 16
SPEC = """\
name: colours
task: sticker
items:
  file: items.parquet
  id: item_id
  title: title
  image: image
  attributes: [colour, thing]
  instruction: [title]
interactions:
  file: interactions.parquet
  user: user_id
  item: item_id
  time: timestamp
  event: event
  positive: [like]
  negative: [skip]
"""
START = pd.Timestamp("2025-01-01", tz="UTC")


def some_users(split: Split, count: int) -> tuple[str, ...]:
    """Return the first users of a split among u0, u1, …"""
    return users_in((f"u{number}" for number in range(50 * count)), split)[:count]


def write_dataset(folder: Path, likes: dict[str, list[str]]) -> DatasetFolder:
    """Write 24 pictures, eight things in three colours, liked as given, and open it."""
    items = [
        {
            "item_id": f"{colour}-{shape}-{number}",
            "title": shape,
            "colour": colour,
            "thing": f"{shape}-{number}",
        }
        for colour in COLOURS
        for shape in SHAPES
        for number in range(ITEMS_PER_KIND)
    ]
    (folder / "images").mkdir(parents=True)
    for seed, item in enumerate(items):
        item["image"] = f"images/{item['item_id']}.png"
        pixels = draw(item["colour"], item["title"], seed)
        Image.fromarray(pixels).save(folder / item["image"])
    rows = [
        {
            "user_id": user_id,
            "item_id": item_id,
            "event": "like",
            "timestamp": START + pd.Timedelta(minutes=minute),
        }
        for user_id, item_ids in likes.items()
        for minute, item_id in enumerate(item_ids)
    ]
    pd.DataFrame(items).to_parquet(folder / "items.parquet")
    pd.DataFrame(rows).to_parquet(folder / "interactions.parquet")
    (folder / "dataset.yaml").write_text(SPEC)
    return DatasetFolder.open(folder)


def draw(colour: str, shape: str, seed: int) -> np.ndarray:
    """Return a square, or horizontal stripes, in a colour on noisy white."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(235, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    if shape == "square":
        pixels[4:12, 4:12] = COLOURS[colour]
    else:
        pixels[::4] = COLOURS[colour]
    return pixels


def likes_of_colour(colour: str) -> list[str]:
    """Return the ids of all items of one colour."""
    return [f"{colour}-{shape}-{n}" for shape in SHAPES for n in range(ITEMS_PER_KIND)]


def colour_fans(users: tuple[str, ...]) -> dict[str, list[str]]:
    """Return likes by which each user likes one colour only."""
    colours = list(COLOURS)
    return {
        user_id: likes_of_colour(colours[number % len(colours)])
        for number, user_id in enumerate(users)
    }
