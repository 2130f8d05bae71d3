"""Training examples: windows of liked items, with pictures and words as ids.

In:  a dataset and a trained visual tokenizer.
Out: one table of visual ids and words for all items, and windows that point into it.

Only users of the training split are read here; validation windows are a table of their own.
Source: Pigeon, section 3.4: windows of six liked images, step one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pigeon_recsys.alignment.picture_views import View, shown_pictures
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizer
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import Split, users_in
from pigeon_recsys.model.pigeon import HISTORY_LENGTH
from pigeon_recsys.model.prompt import PromptBatch, pad_texts
from pigeon_recsys.records import Pixels

# B rows, H history images, T tokens per image, N items, W window length

WINDOW = HISTORY_LENGTH + 1  # images: the history and the target
EMPTY = -1  # a place of a window without an image
MIN_LIKES = 2  # a target and at least one image before it
AS_IT_IS_SHARE = 0.25  # of the examples whose pictures are held in several views


@dataclass(frozen=True)
class ItemTokens:
    """Visual ids and words of every item, addressed by row; batches lie on the ids' device.

    After the rows of the pictures as they are come those of each further view of them, so that
    an item stands a whole number of catalogs behind its own row.
    """

    row: dict[str, int]
    visual_NT: Tensor
    words: tuple[list[int], ...]

    @property
    def num_views(self) -> int:
        """Return in how many views each picture is held."""
        return len(self.visual_NT) // len(self.row)

    def draw_view(self, batch_size: int, generator: torch.Generator) -> NDArray[np.int64]:
        """Return view_B, a view for each row of a batch: often the pictures as they are."""
        if self.num_views == 1:
            return np.zeros(batch_size, dtype=np.int64)
        view_B = torch.randint(1, self.num_views, (batch_size,), generator=generator)
        as_it_is_B = torch.rand(batch_size, generator=generator) < AS_IT_IS_SHARE
        return view_B.masked_fill(as_it_is_B, 0).numpy()

    def seen(self, rows: NDArray[np.int64], view_B: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows of the same items in each batch row's view; `EMPTY` stays."""
        by_row = view_B.reshape(-1, *[1] * (rows.ndim - 1)) * len(self.row)
        return np.where(rows == EMPTY, EMPTY, rows + by_row)


@dataclass(frozen=True, eq=False)
class Examples:
    """What the language model and Pigeon learn from: items, and windows that point into them."""

    items: ItemTokens
    train: NDArray[np.int64]  # (num_windows, window length), of training users
    validation: NDArray[np.int64]  # of other users; may be empty
    same: SameContent | None = None  # where other pictures of a target may be its reference

    @classmethod
    def read(cls, dataset: DatasetFolder, items: ItemTokens) -> "Examples":
        """Cut the dataset's histories into windows."""
        return cls(
            items,
            liked_windows(dataset, items, "train"),
            liked_windows(dataset, items, "validation"),
        )

    def references(
        self, target_B: NDArray[np.int64], generator: torch.Generator, *, own_share: float = 0.0
    ) -> NDArray[np.int64] | None:
        """Return other pictures of the targets' content; None where the data knows none.

        A share of the targets stays its own reference, as in masked reconstruction.
        """
        if self.same is None:
            return None
        is_own_B = (torch.rand(len(target_B), generator=generator) < own_share).numpy()
        return np.where(is_own_B, target_B, self.same.draw(target_B, generator))

    def validation_sample(self, count: int) -> NDArray[np.int64]:
        """Return up to `count` validation windows, spread over all validation users."""
        return spread(self.validation, count)


def spread(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return up to `count` rows at even distances, so that neighbours do not crowd them."""
    places = np.linspace(0, len(rows), min(count, len(rows)), endpoint=False, dtype=np.int64)
    return rows[places]


def tokenize_items(
    tokenizer: VisualTokenizer,
    backbone: Backbone,
    dataset: DatasetFolder,
    pixels: Pixels,
    views: Sequence[View] = (View(),),
) -> ItemTokens:
    """Return visual ids and words of the dataset's items; `pixels` aligns with `item_ids`."""
    device = tokenizer.encoder_position.device
    chunks = [
        tokenizer.encode(pixels_BCHW.to(device)) for pixels_BCHW in shown_pictures(pixels, views)
    ]
    words = tuple(backbone.tokenize_text(dataset.item(i).instruction) for i in dataset.item_ids)
    rows = {item_id: row for row, item_id in enumerate(dataset.item_ids)}
    return ItemTokens(rows, torch.cat(chunks), words * len(views))


def liked_windows(dataset: DatasetFolder, items: ItemTokens, split: Split) -> NDArray[np.int64]:
    """Return item rows (num_windows, WINDOW) of one split's users, oldest first.

    A user with fewer likes than a window gives one window with `EMPTY` places in front.
    """
    return windows_of(liked_rows(dataset, items, split))


def liked_rows(dataset: DatasetFolder, items: ItemTokens, split: Split) -> Iterator[list[int]]:
    """Yield the item rows that each user of a split likes, oldest first."""
    for user_id in users_in(dataset.user_ids, split):
        yield [items.row[item_id] for item_id in dataset.history(user_id).liked]


def windows_of(likes: Iterable[Sequence[int]], length: int = WINDOW) -> NDArray[np.int64]:
    """Return windows (num_windows, length) over each user's liked rows, step one."""
    windows: list[list[int]] = []
    for liked in likes:
        if len(liked) < MIN_LIKES:
            continue
        padded = [EMPTY] * (length - len(liked)) + list(liked)
        windows += [padded[i : i + length] for i in range(len(padded) - length + 1)]
    return np.asarray(windows, dtype=np.int64).reshape(-1, length)


def draw_windows(
    windows: NDArray[np.int64], batch_size: int, generator: torch.Generator
) -> NDArray[np.int64]:
    """Return a batch of windows, drawn with replacement."""
    rows = torch.randint(len(windows), (batch_size,), generator=generator).numpy()
    window_BW: NDArray[np.int64] = windows[rows]
    return window_BW


def reconstruction_batch(
    items: ItemTokens,
    window_BW: NDArray[np.int64],
    with_text_B: Sequence[bool] | Tensor | None = None,
    reference_B: NDArray[np.int64] | None = None,
) -> tuple[PromptBatch, Tensor]:
    """Return the prompt whose reference is the window's last image, and that target_BT.

    `reference_B` names other items as references; words are the target's all the same.
    """
    device = items.visual_NT.device
    history = torch.from_numpy(window_BW[:, :-1])
    target = torch.from_numpy(window_BW[:, -1])
    target_BT = items.visual_NT[target]
    texts = [items.words[row] for row in target.tolist()]
    if with_text_B is not None:
        texts = [text if kept else [] for text, kept in zip(texts, with_text_B, strict=True)]
    text_BL, has_text_BL = pad_texts(texts)
    batch = PromptBatch(
        history_BHT=items.visual_NT[history.clamp(min=0)],
        present_BH=(history != EMPTY).to(device),
        text_BL=text_BL.to(device),
        has_text_BL=has_text_BL.to(device),
        reference_BT=target_BT
        if reference_B is None
        else items.visual_NT[torch.from_numpy(reference_B)],
        has_reference_B=torch.ones(len(window_BW), dtype=torch.bool, device=device),
    )
    return batch, target_BT
