"""All pictures of a dataset at one size, as one array.

In:  a catalog and the size a model wants.
Out: `uint8` pixels (N, height, width, 3) and the row of each item.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pigeon_recsys.ports import ItemCatalog
from pigeon_recsys.progress import track
from pigeon_recsys.records import Pixels


@dataclass(frozen=True)
class PixelTable:
    """Pictures of equal size, addressed by item id."""

    item_ids: tuple[str, ...]
    pixels: Pixels  # (N, height, width, 3)

    @classmethod
    def load(
        cls, catalog: ItemCatalog, item_ids: Sequence[str], height: int, width: int
    ) -> "PixelTable":
        """Read and resize the pictures of `item_ids`. Memory: N × height × width × 3 bytes."""
        pixels = np.empty((len(item_ids), height, width, 3), np.uint8)
        for row, item_id in enumerate(track(item_ids, "read pictures", total=len(item_ids))):
            pixels[row] = resize(catalog.pixels(item_id), height, width)
        return cls(tuple(item_ids), pixels)

    def rows(self) -> dict[str, int]:
        """Return the row of each item id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return the picture at another size; the whole picture is kept, so its shape may stretch."""
    if pixels.shape[:2] == (height, width):
        return pixels
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized)
