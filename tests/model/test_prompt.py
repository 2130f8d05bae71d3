"""The prompt's parts: ragged words and a history of several images."""

import torch

from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.model.prompt import (
    MAX_TEXT,
    PromptBatch,
    history_part,
    image_part,
    join,
    pad_texts,
)


def test_texts_are_padded_on_the_left() -> None:
    text, has_text = pad_texts([[5, 6, 7], [], [8]])
    assert text.tolist() == [[5, 6, 7], [0, 0, 0], [0, 0, 8]]
    assert has_text.int().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 1]]


def test_empty_texts_take_one_place_that_is_not_attended_to() -> None:
    text, has_text = pad_texts([[], []])
    assert text.tolist() == [[0], [0]]
    assert not has_text.any()


def test_long_texts_are_cut_at_their_end() -> None:
    text, has_text = pad_texts([list(range(MAX_TEXT + 5))])
    assert text.tolist() == [list(range(MAX_TEXT))]
    assert has_text.all()


def test_a_history_is_its_images_one_after_the_other(
    backbone: MiniBackbone, prompts: PromptBatch
) -> None:
    keep = torch.ones_like(prompts.history_BHT, dtype=torch.float32)
    keep[0, 1, 0] = 0
    whole = history_part(backbone, prompts.history_BHT, prompts.present_BH, keep)
    images = (
        image_part(backbone, prompts.history_BHT[:, i], prompts.present_BH[:, i], keep[:, i])
        for i in range(keep.shape[1])
    )
    expected = join(list(images))
    assert torch.equal(whole.embed_BSD, expected.embed_BSD)
    assert torch.equal(whole.attend_BS, expected.attend_BS)
