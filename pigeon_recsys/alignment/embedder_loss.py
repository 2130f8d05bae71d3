"""The contrasts that train the image encoder.

In:  embeddings of a batch.
Out: one loss each, in nats; guessing gives the logarithm of the number of answers.
"""

import torch
from torch import Tensor
from torch.nn import functional

# B pictures or texts, P pairs of pictures, D width
# L likes of each of U users, K answers of the same content, the like itself first


def content_loss(image_BD: Tensor, text_BD: Tensor, caption_B: Tensor, scale: Tensor) -> Tensor:
    """Contrast pictures with texts, both ways; `caption_B` numbers the distinct texts.

    Pictures with the same text are all right answers to it, with equal shares.
    """
    logits_BB = scale * image_BD @ text_BD.T
    is_same_BB = caption_B[:, None] == caption_B
    share_BB = is_same_BB / is_same_BB.sum(dim=1, keepdim=True)
    to_text = functional.cross_entropy(logits_BB, share_BB)
    to_image = functional.cross_entropy(logits_BB.T, share_BB)
    return (to_text + to_image) / 2


def taste_loss(
    anchor_PD: Tensor,
    positive_PD: Tensor,
    anchor_item_P: Tensor,
    positive_item_P: Tensor,
    scale: Tensor,
) -> Tensor:
    """Contrast two likes of one user with the likes of the other users, both ways.

    Each pair is another user's. An item that two users of the batch like is no wrong answer,
    so such cells are left out.
    """
    logits_PP = scale * anchor_PD @ positive_PD.T
    is_pair_PP = torch.eye(len(anchor_PD), dtype=torch.bool)
    is_shared_PP = (positive_item_P[:, None] == positive_item_P) | (
        anchor_item_P[:, None] == anchor_item_P
    )
    is_shared_PP = is_shared_PP | (anchor_item_P[:, None] == positive_item_P)
    logits_PP = logits_PP.masked_fill(is_shared_PP & ~is_pair_PP, -torch.inf)
    target_P = torch.arange(len(anchor_PD))
    to_positive = functional.cross_entropy(logits_PP, target_P)
    to_anchor = functional.cross_entropy(logits_PP.T, target_P)
    return (to_positive + to_anchor) / 2


def manner_loss(answer_LUKD: Tensor, row_LUK: Tensor, scale: float) -> Tensor:
    """Contrast each like with other pictures of its content, by the user's other likes.

    What the answers show is the same, so only how they are drawn can tell them apart. A like
    whose content has no other picture has one answer and teaches nothing.
    """
    liked_LUD, liked_row_LU = answer_LUKD[:, :, 0], row_LUK[:, :, 0]
    is_other_LLU = liked_row_LU[:, None] != liked_row_LU
    share_LLU = is_other_LLU / is_other_LLU.sum(dim=1, keepdim=True)
    anchor_LUD = torch.einsum("lmu,mud->lud", share_LLU, liked_LUD)
    logits_LUK = scale * torch.einsum("lud,lukd->luk", anchor_LUD, answer_LUKD)
    is_like_itself_LUK = row_LUK[:, :, 1:] == row_LUK[:, :, :1]
    own_LU1, others_LUK = logits_LUK[:, :, :1], logits_LUK[:, :, 1:]
    answers_LUK = torch.cat([own_LU1, others_LUK.masked_fill(is_like_itself_LUK, -torch.inf)], 2)
    return -answers_LUK.log_softmax(dim=2)[:, :, 0].mean()
