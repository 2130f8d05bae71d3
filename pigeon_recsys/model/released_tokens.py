"""Images as the released code holds them: ids of a text and visual vocabulary, any length.

In:  the visual ids of a batch's images, one flat tensor and a table of lengths.
Out: the same with markers, joined, hidden in part, or padded into rows.

The layout is that of LaVIT: text ids first, then image start and end, then the visual codes.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

# B rows, I images of a row, N tokens of the whole batch, L tokens of a row, padded

PAD_ID = 2  # also ends a text
IMAGE_START = 32_000
IMAGE_END = 32_001
FIRST_VISUAL = 32_002
HIDDEN = -1  # stands for a masked token, whose embedding is zero
IGNORED = -100  # a label that takes no part in the loss


@dataclass(frozen=True)
class ImageTokens:
    """Ids of a batch's images: row after row, image after image; each row has I images."""

    id_N: Tensor
    length_BI: Tensor

    def __post_init__(self) -> None:
        if int(self.length_BI.sum()) != len(self.id_N):
            raise ValueError(
                f"image lengths add up to {int(self.length_BI.sum())}, "
                f"but there are {len(self.id_N)} tokens"
            )

    @property
    def image_N(self) -> Tensor:
        """Return which image of the batch each token belongs to, counted from 0."""
        length = self.length_BI.flatten()
        return torch.arange(len(length), device=length.device).repeat_interleave(length)

    @property
    def within_N(self) -> Tensor:
        """Return each token's place in its image, counted from 0."""
        length = self.length_BI.flatten()
        first_N = (length.cumsum(0) - length).repeat_interleave(length)
        return torch.arange(len(self.id_N), device=length.device) - first_N

    def joined(self, later: "ImageTokens") -> "ImageTokens":
        """Return rows that hold this batch's images and then those of `later`."""
        row_N = torch.cat([part.image_N // part.length_BI.shape[1] for part in (self, later)])
        order_N = row_N.argsort(stable=True)
        return ImageTokens(
            torch.cat([self.id_N, later.id_N])[order_N],
            torch.cat([self.length_BI, later.length_BI], dim=1),
        )

    def with_markers(self) -> "ImageTokens":
        """Return every image between image start and image end."""
        length_BI = self.length_BI + 2
        length = length_BI.flatten()
        first = length.cumsum(0) - length
        id_N = self.id_N.new_full((int(length.sum()),), IMAGE_START)
        id_N[first + length - 1] = IMAGE_END
        id_N[first[self.image_N] + 1 + self.within_N] = self.id_N
        return ImageTokens(id_N, length_BI)

    def hidden(self, keep_N: Tensor) -> "ImageTokens":
        """Return the same with `HIDDEN` in place of every token that is not kept."""
        return replace(self, id_N=self.id_N.where(keep_N > 0, HIDDEN))

    def rows(self, value_N: Tensor, fill: int) -> Tensor:
        """Return value_BL, one value a token in rows padded on the right with `fill`."""
        length_B = self.length_BI.sum(dim=1)
        width = int(length_B.max())
        is_token_BL = torch.arange(width, device=length_B.device) < length_B[:, None]
        value_BL = value_N.new_full(is_token_BL.shape, fill)
        value_BL[is_token_BL] = value_N
        return value_BL
