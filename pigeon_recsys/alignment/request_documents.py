"""Request documents: what the language model learns from where references are pictures.

In:  a person's likes: some are the history, the others are asked for, each by a reference.
Out: the cross-entropy of each picture asked for.

    document_start | words | H x picture | words, caption, [reference], picture
                                         | words, caption, [reference], picture
                                         | ...

A branch after the history sees the history and itself: it is Pigeon's prompt, and one reading of
the history teaches as often as there are branches. References are other pictures of the same
content where the data knows some, so that the model learns to draw what a reference shows as the
history is drawn. Some of the pictures written so far are replaced by the reference's tokens: a few
tokens tell a style, and a model that may believe them never learns to read it from the history.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache

from pigeon_recsys.alignment.documents import caption_part, pictures
from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens, draw_windows
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.pigeon import HISTORY_LENGTH
from pigeon_recsys.model.prompt import (
    Part,
    history_part,
    image_part,
    join,
    marker_part,
    words_part,
    written_part,
)

# B rows, H history images, A pictures asked for, X branches (B·A), T tokens per image,
# S tokens of a part, V visual ids

NUM_ASKED = 5  # pictures asked for after one history
REQUEST_WINDOW = HISTORY_LENGTH + NUM_ASKED
NO_HISTORY_SHARE = 0.1  # of rows, for requests of new users and for guidance
REFERENCE_SHARE = 0.9  # of pictures asked for by a reference; the others by words alone
WORDLESS_SHARE = 0.5  # of those with a reference: words would let pictures be learnt by heart
WHOLE_SHARE = 0.5  # of references that show another picture; the others are masked, as all own are
KEEP_SHARE = 0.85  # of history tokens, in half of the rows; the rest are zero, as masked ones are
MISLED_SHARE = 0.6  # of rows whose written tokens are partly the reference's, by U(0, 1)
VALIDATION_KEEP = 0.5  # of reference tokens, as stage 1 validates


@dataclass(frozen=True)
class Requests:
    """A batch of request documents, one a row; item rows stand for pictures."""

    history_BH: NDArray[np.int64]
    asked_BA: NDArray[np.int64]
    reference_BA: NDArray[np.int64]  # `EMPTY` where words alone ask
    wordless_BA: NDArray[np.bool_]
    history_keep_B: Tensor  # share of tokens
    reference_keep_BA: Tensor  # share of tokens
    misled_B: Tensor  # share of written tokens that are the reference's


def draw_requests(examples: Examples, batch_size: int, generator: torch.Generator) -> Requests:
    """Return a batch of requests; the likes of a window change places."""
    assert examples.same is not None
    window_BW = draw_windows(examples.train, batch_size, generator)
    order_BW = torch.rand(window_BW.shape, generator=generator).argsort(dim=1).numpy()
    window_BW = np.take_along_axis(window_BW, order_BW, axis=1)
    history_BH, asked_BA = window_BW[:, :HISTORY_LENGTH], window_BW[:, HISTORY_LENGTH:]
    has_none_B = _draw(batch_size, generator) < NO_HISTORY_SHARE
    history_BH = np.where(has_none_B.numpy()[:, None], EMPTY, history_BH)
    drawn_A = examples.same.draw(asked_BA.clip(min=0).ravel(), generator)
    is_shown_BA = (_draw(asked_BA.shape, generator) < REFERENCE_SHARE).numpy() & (asked_BA != EMPTY)
    reference_BA = np.where(is_shown_BA, drawn_A.reshape(asked_BA.shape), EMPTY)
    is_other_BA = torch.from_numpy((reference_BA != asked_BA) & is_shown_BA)
    is_whole_BA = (_draw(asked_BA.shape, generator) < WHOLE_SHARE) & is_other_BA
    ratio_BA = _draw(asked_BA.shape, generator)
    wordless_BA = (_draw(asked_BA.shape, generator) < WORDLESS_SHARE).numpy() & is_shown_BA
    keeps_all_B = _draw(batch_size, generator) < 0.5
    is_misled_B = _draw(batch_size, generator) < MISLED_SHARE
    misled_B = _draw(batch_size, generator)
    view_B = examples.items.draw_view(batch_size, generator)
    return Requests(
        history_BH=examples.items.seen(history_BH, view_B),
        asked_BA=examples.items.seen(asked_BA, view_B),
        reference_BA=examples.items.seen(reference_BA, view_B),
        wordless_BA=wordless_BA,
        history_keep_B=torch.where(keeps_all_B, 1.0, KEEP_SHARE),
        reference_keep_BA=torch.where(is_whole_BA, 1.0, 1 - ratio_BA),
        misled_B=torch.where(is_misled_B, misled_B, 0.0),
    )


def plain_requests(
    examples: Examples, window_BW: NDArray[np.int64], generator: torch.Generator
) -> Requests:
    """Return the requests of validation: half of every reference hidden, nothing else drawn."""
    assert examples.same is not None
    num_rows = len(window_BW)
    asked_BA = window_BW[:, HISTORY_LENGTH:]
    drawn_A = examples.same.draw(asked_BA.clip(min=0).ravel(), generator)
    return Requests(
        history_BH=window_BW[:, :HISTORY_LENGTH],
        asked_BA=asked_BA,
        reference_BA=np.where(asked_BA == EMPTY, EMPTY, drawn_A.reshape(asked_BA.shape)),
        wordless_BA=np.zeros(asked_BA.shape, dtype=np.bool_),
        history_keep_B=torch.ones(num_rows),
        reference_keep_BA=torch.full(asked_BA.shape, VALIDATION_KEEP),
        misled_B=torch.zeros(num_rows),
    )


def request_loss(
    backbone: MiniBackbone,
    items: ItemTokens,
    requests: Requests,
    instruction: Instruction,
    generator: torch.Generator,
) -> Tensor:
    """Return loss_BA, each picture's mean cross-entropy over its tokens; 0 for an empty place."""
    num_rows, num_asked = requests.asked_BA.shape
    history = join(
        [
            marker_part(backbone, "document_start", num_rows),
            words_part(backbone, instruction.before_history, num_rows),
            _history(backbone, items, requests, generator),
        ]
    )
    cache = DynamicCache()
    backbone.hidden(history.embed_BSD, history.attend_BS, cache)
    cache.batch_repeat_interleave(num_asked)
    branches = _branches(backbone, items, requests, instruction, generator)
    before_XS = history.attend_BS.repeat_interleave(num_asked, dim=0)
    attend_XS = torch.cat([before_XS, branches.attend_BS], dim=1)
    hidden_XSD = backbone.hidden(branches.embed_BSD, attend_XS, cache)
    target_XT, is_asked_X = pictures(items, requests.asked_BA.ravel())
    logit_XTV = backbone.visual_logits(hidden_XSD[:, -target_XT.shape[1] :])
    loss_XT = functional.cross_entropy(logit_XTV.transpose(1, 2), target_XT, reduction="none")
    return (loss_XT.mean(dim=1) * is_asked_X).view(num_rows, num_asked)


def _history(
    backbone: MiniBackbone, items: ItemTokens, requests: Requests, generator: torch.Generator
) -> Part:
    visual_BHT, present_BH = pictures(items, requests.history_BH)
    draw_BHT = torch.rand(visual_BHT.shape, generator=generator)
    keep_BHT = (draw_BHT < requests.history_keep_B[:, None, None]).float()
    return history_part(backbone, visual_BHT, present_BH, keep_BHT.to(visual_BHT.device))


def _branches(
    backbone: MiniBackbone,
    items: ItemTokens,
    requests: Requests,
    instruction: Instruction,
    generator: torch.Generator,
) -> Part:
    """Return what follows the history, a row a picture; its last tokens write that picture."""
    asked_X, wordless_X = requests.asked_BA.ravel(), requests.wordless_BA.ravel()
    target_XT, _ = pictures(items, asked_X)
    reference_XT, is_shown_X = pictures(items, requests.reference_BA.ravel())
    keep_XT = _draw(target_XT.shape, generator) < requests.reference_keep_BA.view(-1, 1)
    misled_X = requests.misled_B.repeat_interleave(requests.asked_BA.shape[1])
    is_misled_XT = _draw(target_XT.shape, generator) < misled_X[:, None]
    is_misled_XT = is_misled_XT.to(target_XT.device) & is_shown_X[:, None]
    written_XT = torch.where(is_misled_XT, reference_XT, target_XT)[:, :-1]
    num_rows = len(asked_X)
    return join(
        [
            words_part(backbone, instruction.before_reference, num_rows),
            caption_part(backbone, items, np.where(wordless_X, EMPTY, asked_X)),
            image_part(backbone, reference_XT, is_shown_X, keep_XT.float().to(target_XT.device)),
            marker_part(backbone, "image_start", num_rows),
            written_part(backbone, written_XT),
        ]
    )


def _draw(shape: int | tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator)
