"""Which items are pictures of the same thing, where the catalog says so.

In:  a dataset and the attribute whose equal values mean equal content, say `concept`.
Out: for each item the others that show the same.

Such a catalog tells a reference apart from the picture that is wanted: the same thing, drawn
otherwise. With it a model learns to draw what a reference shows in the history's way, where
masked reconstruction alone only learns to fill in what a mask has hidden.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError


@dataclass(frozen=True)
class SameContent:
    """Items that show the same, by row; behind the last of them stands the item itself."""

    others_NK: NDArray[np.int64]
    count_N: NDArray[np.int64]  # how many others there are

    @classmethod
    def read(cls, dataset: DatasetFolder, attribute: str) -> "SameContent":
        """Group a dataset's items. Raises `SettingsError` where no two show the same."""
        groups: dict[str, list[int]] = defaultdict(list)
        for row, item_id in enumerate(dataset.item_ids):
            value = dataset.item(item_id).attributes.get(attribute)
            if value is not None:
                groups[str(value)].append(row)
        largest = max(map(len, groups.values()), default=0)
        if largest < 2:
            known = ", ".join(dataset.attribute_names) or "none"
            raise SettingsError(
                f"no two items of {dataset.path} are alike in content: {attribute!r} (attributes: "
                f"{known}). Name an attribute that several pictures of one thing share."
            )
        count_N = np.zeros(len(dataset.item_ids), dtype=np.int64)
        others_NK = np.arange(len(count_N))[:, None].repeat(largest - 1, axis=1)
        for rows in groups.values():
            for row in rows:
                count_N[row] = len(rows) - 1
                others_NK[row, : len(rows) - 1] = [other for other in rows if other != row]
        return cls(others_NK, count_N)

    @classmethod
    def none(cls, num_items: int) -> "SameContent":
        """Return that every item shows something of its own: each is its own reference."""
        return cls(np.arange(num_items)[:, None], np.zeros(num_items, dtype=np.int64))

    def draw(self, row_B: NDArray[np.int64], generator: torch.Generator) -> NDArray[np.int64]:
        """Return another item with the same content as each; the item itself where none has."""
        uniform_B = torch.rand(len(row_B), generator=generator, dtype=torch.float64).numpy()
        place_B = (uniform_B * self.count_N[row_B]).astype(np.int64)
        drawn_B: NDArray[np.int64] = self.others_NK[row_B, place_B]
        return drawn_B
