"""Builds small dataset folders, sound or with one thing changed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

STICKER_YAML = """\
name: tiny
task: sticker
items:
  file: items.parquet
  id: item_id
  title: name
  image: image
  attributes: [style, emotion, tags]
  instruction: [name, emotion]
interactions:
  file: interactions.parquet
  user: user_id
  item: item_id
  time: timestamp
  event: event
  positive: [like]
  negative: [skip]
"""
RATING_YAML = STICKER_YAML.replace(
    "  event: event\n  positive: [like]\n  negative: [skip]\n",
    "  rating: rating\n  positive: {at_least: 4.0}\n  negative: {at_most: 2.5}\n",
)

ITEMS = {
    "item_id": ["a", "b", "c"],
    "name": ["cat", "dog", "cake"],
    "style": ["flat", "flat", "outline"],
    "emotion": ["happy", None, "sad"],
    "tags": [["pet", "fur"], [], None],
    "image": ["images/a.png", "images/b.png", "images/c.png"],
}
INTERACTIONS = {
    "user_id": ["u2", "u1", "u1", "u1"],
    "item_id": ["b", "b", "c", "a"],
    "event": ["like", "like", "skip", "like"],
    "timestamp": [datetime(2025, 1, day, tzinfo=UTC) for day in (4, 3, 2, 2)],
}
RATINGS = [4.0, 3.5, 2.5, 5.0]

MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Return a function that writes a sound folder; named columns are replaced.

    A column given as None is left out of its table.
    """

    def make(
        spec: str = STICKER_YAML,
        items: dict[str, Any] | None = None,
        interactions: dict[str, Any] | None = None,
        name: str = "folder",
    ) -> Path:
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        for number, item_id in enumerate("abc"):
            pixels = np.full((8, 6, 3), 40 * number, np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{item_id}.png")
        (folder / "dataset.yaml").write_text(spec)
        write_table(folder / "items.parquet", ITEMS | (items or {}))
        write_table(folder / "interactions.parquet", INTERACTIONS | (interactions or {}))
        return folder

    return make


@pytest.fixture
def rating_folder(make_folder: MakeFolder) -> Path:
    """A sound folder whose interactions carry ratings."""
    return make_folder(RATING_YAML, interactions={"event": None, "rating": RATINGS})


def write_table(path: Path, columns: dict[str, Any]) -> None:
    """Write the columns that are not None as parquet."""
    pq.write_table(pa.table({k: v for k, v in columns.items() if v is not None}), path)


@pytest.fixture
def rewrite() -> Callable[..., None]:
    """Return a function that replaces columns of a parquet file."""

    def change(path: Path, **columns: Any) -> None:
        write_table(path, pq.read_table(path).to_pydict() | columns)

    return change
