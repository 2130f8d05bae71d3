"""The prompt as the released code lays it out: one row of ids, images written into the words.

In:  words with placeholders, masked history images, in training the target.
Out: ids, attention mask and labels; embeddings for the language model.

    words | history image | words | ... | words <emb> words | image start [target image end]

A placeholder for an image has the id of image start, one for `<emb>` that of image end. Unlike
this project's own prompt, images have any length and stand where the words put them, so each
row is as long as it needs to be and padded on the left.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.released_tokens import (
    HIDDEN,
    IGNORED,
    IMAGE_END,
    IMAGE_START,
    PAD_ID,
    ImageTokens,
)

# B rows, L words of a row, I images of a row, N image tokens of the batch, S merged row, D width

REFERENCE_SLOT = -2  # stands for `<emb>`


@dataclass(frozen=True)
class ReleasedPrompt:
    """Merged rows. Labels are `IGNORED` but for the target's tokens and its end."""

    id_BS: Tensor
    attend_BS: Tensor
    label_BS: Tensor


def merge_prompt(
    text_BL: Tensor,
    attend_BL: Tensor,
    history: ImageTokens,
    target: ImageTokens | None = None,
) -> ReleasedPrompt:
    """Write the images into the words; a `target` comes with markers, and only in training.

    Without a target the last placeholder of a row stays: it is the image start after which
    the language model writes. The words may be padded on either side. Raises `SettingsError`
    when a row's placeholders are not one for each history image and one for the target.
    """
    images = history if target is None else history.joined(target)
    place_BL = (text_BL == IMAGE_START) & attend_BL.bool()
    _check_places(place_BL, history.length_BI.shape[1])
    is_image_BL = place_BL & (place_BL.cumsum(dim=1) <= images.length_BI.shape[1])
    length_BL = attend_BL.long().masked_scatter(is_image_BL, images.length_BI)
    total_B = length_BL.sum(dim=1)
    width = int(total_B.max())
    first_BL = (width - total_B)[:, None] + length_BL.cumsum(dim=1) - length_BL
    row_BL = torch.arange(len(text_BL), device=text_BL.device)[:, None].expand_as(text_BL)

    id_BS = text_BL.new_full((len(text_BL), width), PAD_ID)
    is_word_BL = attend_BL.bool() & ~is_image_BL
    word_N = text_BL[is_word_BL]
    word_N = word_N.where(word_N != IMAGE_END, REFERENCE_SLOT)
    id_BS[row_BL[is_word_BL], first_BL[is_word_BL]] = word_N
    place_N = first_BL[is_image_BL][images.image_N] + images.within_N
    row_N = row_BL[is_image_BL][images.image_N]
    id_BS[row_N, place_N] = images.id_N

    label_BS = torch.full_like(id_BS, IGNORED)
    if target is not None:
        num_images = images.length_BI.shape[1]
        is_label_N = (images.image_N % num_images == num_images - 1) & (images.within_N > 0)
        label_BS[row_N[is_label_N], place_N[is_label_N]] = images.id_N[is_label_N]
    attend_BS = torch.arange(width, device=text_BL.device) >= (width - total_B)[:, None]
    return ReleasedPrompt(id_BS, attend_BS.long(), label_BS)


def embed_prompt(id_BS: Tensor, token_embedding: nn.Embedding, reference_BD: Tensor) -> Tensor:
    """Return embed_BSD: zero for hidden tokens, `reference_BD` in place of `<emb>`."""
    embed_BSD = token_embedding(id_BS.clamp(min=0))
    embed_BSD = embed_BSD * (id_BS != HIDDEN)[..., None]
    is_reference_BS1 = (id_BS == REFERENCE_SLOT)[..., None]
    return torch.where(is_reference_BS1, reference_BD[:, None], embed_BSD)


def _check_places(place_BL: Tensor, num_history: int) -> None:
    count_B = place_BL.sum(dim=1)
    wrong = (count_B != num_history + 1).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise SettingsError(
            f"prompt row {row} has {int(count_B[row])} image placeholders for {num_history} "
            f"history images and the image to write; it must have {num_history + 1}. Keep image "
            "markers out of titles and instructions."
        )
