"""What the image encoder learns from, and the batches drawn from it.

In:  a dataset folder; users outside the train split are passed over.
Out: all pictures, their texts, and for every train user the rows of the liked items.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pigeon_recsys.alignment.caption_tower import text_buckets
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.pixel_table import PixelTable
from pigeon_recsys.datasets.split import Split, users_in
from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.records import Item, Pixels

# B pictures, H height, W width, C colours
# L likes of each of U users, K pictures of the same content, the like itself first

MIN_LIKES = 2  # of a user, to make a pair
LIKED_SHARE = 0.75  # of a batch; the rest is drawn from all items, liked or not
NUM_LIKES = 6  # of a user, where likes are told apart within their content: five say the manner
NUM_OTHERS = 3  # pictures of the same content that each of these is told apart from
MIN_USERS = 2  # one user's pair has nothing to be told apart from


@dataclass(frozen=True)
class EmbedderData:
    """A dataset as the training reads it; a row is an item."""

    item_ids: tuple[str, ...]
    pixels: Pixels  # (N, height, width, 3)
    buckets: tuple[tuple[int, ...], ...]  # of each row's text
    captions: tuple[int, ...]  # the number of each row's text; equal texts, equal numbers
    likes: tuple[tuple[int, ...], ...]  # of each train user with at least two, the rows
    same: SameContent | None  # which rows show the same, where the catalog says so

    @classmethod
    def read(
        cls,
        dataset: DatasetFolder,
        image_size: int,
        attributes: tuple[str, ...] = (),
        content: str | None = None,
    ) -> "EmbedderData":
        """Read pictures, texts and the likes of the train users.

        `content` names the attribute whose equal values mean equal content.
        """
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
            same=None if content is None else SameContent.read(dataset, content),
        )


@dataclass(frozen=True)
class EmbedderBatch:
    """Pictures with texts: L · U · K of likes and their content, then any items."""

    pixels_BHWC: Tensor  # uint8
    row_B: Tensor
    caption_B: Tensor
    buckets: tuple[tuple[int, ...], ...]
    liked_shape: tuple[int, int, int]  # L, U, K

    def liked(self, values_B: Tensor) -> Tensor:
        """Return the values (L, U, K, …) of the likes and of their content's other pictures."""
        return torch.unflatten(values_B[: math.prod(self.liked_shape)], 0, self.liked_shape)


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
    """Draw likes of some users, no user twice, and fill up with any items.

    Two likes of each, or where the catalog knows of other pictures of the same content, more
    likes of fewer users, each with some of those.
    """
    num_likes, num_others = (2, 0) if data.same is None else (NUM_LIKES, NUM_OTHERS)
    share = round(size * LIKED_SHARE / (num_likes * (1 + num_others)))
    num_users = min(max(1, share), len(data.likes))
    users = torch.randperm(len(data.likes), generator=generator)[:num_users].tolist()
    draw = _two_of if data.same is None else _some_of
    row_LUK = np.array([draw(data.likes[user], generator) for user in users]).T[:, :, None]
    if data.same is not None:
        other_N = data.same.draw(row_LUK.repeat(num_others), generator)
        other_LUK = other_N.reshape(num_likes, num_users, num_others)
        row_LUK = np.concatenate([row_LUK, other_LUK], axis=2)
    drawn = torch.randint(len(data.item_ids), (max(0, size - row_LUK.size),), generator=generator)
    row_B = np.concatenate([row_LUK.ravel(), drawn.numpy()])
    rows = row_B.tolist()
    return EmbedderBatch(
        pixels_BHWC=torch.from_numpy(data.pixels[row_B]),
        row_B=torch.from_numpy(row_B),
        caption_B=torch.tensor([data.captions[row] for row in rows]),
        buckets=tuple(data.buckets[row] for row in rows),
        liked_shape=row_LUK.shape,
    )


def _two_of(rows: tuple[int, ...], generator: torch.Generator) -> list[int]:
    first = int(torch.randint(len(rows), (), generator=generator))
    skip = 1 + int(torch.randint(len(rows) - 1, (), generator=generator))
    return [rows[first], rows[(first + skip) % len(rows)]]


def _some_of(rows: tuple[int, ...], generator: torch.Generator) -> list[int]:
    """Return `NUM_LIKES` rows in any order; where there are fewer, some repeat."""
    order = torch.randperm(len(rows), generator=generator).tolist()
    return [rows[order[place % len(rows)]] for place in range(NUM_LIKES)]
