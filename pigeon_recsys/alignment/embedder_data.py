"""What the image encoder learns from, and the batches drawn from it.

In:  a dataset folder; users outside the train split are passed over.
Out: all pictures, their texts, and for every train user the rows of the liked items.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pigeon_recsys.alignment.caption_tower import text_buckets
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.datasets.split import Split, users_in
from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.records import Item, Pixels

# B pictures, H height, W width, C colours

MIN_LIKES = 2  # of a user, to make a pair
LIKED_SHARE = 0.75  # of a batch; the rest is drawn from all items, liked or not
MIN_USERS = 2  # one user's pair has nothing to be told apart from


@dataclass(frozen=True)
class EmbedderData:
    """A dataset as the training reads it; a row is an item."""

    item_ids: tuple[str, ...]
    pixels: Pixels  # (N, height, width, 3)
    buckets: tuple[tuple[int, ...], ...]  # of each row's text
    captions: tuple[int, ...]  # the number of each row's text; equal texts, equal numbers
    likes: tuple[tuple[int, ...], ...]  # of each train user with at least two, the rows

    @classmethod
    def read(
        cls, dataset: DatasetFolder, image_size: int, attributes: tuple[str, ...]
    ) -> "EmbedderData":
        """Read pictures, texts and the likes of the train users."""
        unknown = sorted(set(attributes) - set(dataset.attribute_names))
        if unknown:
            known = ", ".join(dataset.attribute_names) or "none"
            raise SettingsError(
                f"{dataset.path} has no attribute {unknown[0]!r}. Its attributes: {known}."
            )
        table = PixelTable.load(dataset, dataset.item_ids, image_size, image_size)
        texts = [item_text(dataset.item(item_id), attributes) for item_id in table.item_ids]
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        likes = tuple(liked_rows(dataset, "train"))
        if len(likes) < MIN_USERS:
            raise DatasetError(
                dataset.path,
                [f"{len(likes)} users of the train split like 2 items or more; 2 are needed"],
            )
        return cls(
            item_ids=table.item_ids,
            pixels=table.pixels,
            buckets=tuple(tuple(text_buckets(text)) for text in texts),
            captions=tuple(numbers[text] for text in texts),
            likes=likes,
        )


@dataclass(frozen=True)
class EmbedderBatch:
    """Pictures with texts: `num_pairs` first likes, their partners in order, then any items."""

    pixels_BHWC: Tensor  # uint8
    row_B: Tensor
    caption_B: Tensor
    buckets: tuple[tuple[int, ...], ...]
    num_pairs: int


def item_text(item: Item, attributes: Iterable[str] = ()) -> str:
    """Return the text of an item: title, instruction and the named attributes."""
    values = [item.attributes.get(name, "") for name in attributes]
    described = [value if isinstance(value, str) else " ".join(value) for value in values]
    parts = dict.fromkeys([item.title, item.instruction, *described])
    return " ".join(part for part in parts if part)


def liked_rows(dataset: DatasetFolder, split: Split) -> list[tuple[int, ...]]:
    """Return the rows liked by each user of one split with at least two likes, oldest first."""
    row_of = {item_id: row for row, item_id in enumerate(dataset.item_ids)}
    liked = (dataset.history(user_id).liked for user_id in users_in(dataset.user_ids, split))
    return [tuple(row_of[i] for i in items) for items in liked if len(items) >= MIN_LIKES]


def draw_batch(data: EmbedderData, size: int, generator: torch.Generator) -> EmbedderBatch:
    """Draw two likes of each of some users, no user twice, and fill up with any items."""
    num_pairs = min(round(size * LIKED_SHARE / 2), len(data.likes))
    users = torch.randperm(len(data.likes), generator=generator)[:num_pairs].tolist()
    pairs = [_two_of(data.likes[user], generator) for user in users]
    others = torch.randint(len(data.item_ids), (size - 2 * num_pairs,), generator=generator)
    rows = [first for first, _ in pairs] + [second for _, second in pairs] + others.tolist()
    return EmbedderBatch(
        pixels_BHWC=torch.from_numpy(data.pixels[np.array(rows)]),
        row_B=torch.tensor(rows),
        caption_B=torch.tensor([data.captions[row] for row in rows]),
        buckets=tuple(data.buckets[row] for row in rows),
        num_pairs=num_pairs,
    )


def _two_of(rows: tuple[int, ...], generator: torch.Generator) -> tuple[int, int]:
    first = int(torch.randint(len(rows), (), generator=generator))
    skip = 1 + int(torch.randint(len(rows) - 1, (), generator=generator))
    return rows[first], rows[(first + skip) % len(rows)]
