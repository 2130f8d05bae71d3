"""Ragged image tokens: markers, joining, hiding and padding, worked out by hand."""

import pytest
import torch

from pigeon_recsys.model.released_tokens import HIDDEN, IMAGE_END, IMAGE_START, ImageTokens


@pytest.fixture
def tokens() -> ImageTokens:
    """Two rows of two images: [11 12][13] and [14][15 16]."""
    return ImageTokens(torch.arange(11, 17), torch.tensor([[2, 1], [1, 2]]))


def test_each_token_knows_its_image_and_its_place(tokens: ImageTokens) -> None:
    assert tokens.image_N.tolist() == [0, 0, 1, 2, 3, 3]
    assert tokens.within_N.tolist() == [0, 1, 0, 0, 0, 1]


def test_markers_stand_around_every_image(tokens: ImageTokens) -> None:
    marked = tokens.with_markers()
    s, e = IMAGE_START, IMAGE_END
    assert marked.id_N.tolist() == [s, 11, 12, e, s, 13, e, s, 14, e, s, 15, 16, e]
    assert marked.length_BI.tolist() == [[4, 3], [3, 4]]


def test_joining_keeps_rows_apart(tokens: ImageTokens) -> None:
    later = ImageTokens(torch.tensor([21, 22, 23]), torch.tensor([[1], [2]]))
    joined = tokens.joined(later)
    assert joined.id_N.tolist() == [11, 12, 13, 21, 14, 15, 16, 22, 23]
    assert joined.length_BI.tolist() == [[2, 1, 1], [1, 2, 2]]


def test_hidden_tokens_keep_their_place(tokens: ImageTokens) -> None:
    hidden = tokens.hidden(torch.tensor([1.0, 0, 1, 1, 0, 1]))
    assert hidden.id_N.tolist() == [11, HIDDEN, 13, 14, HIDDEN, 16]


def test_rows_are_padded_on_the_right() -> None:
    ragged = ImageTokens(torch.tensor([1, 2, 3]), torch.tensor([[1], [2]]))
    assert ragged.rows(ragged.id_N, 0).tolist() == [[1, 0], [2, 3]]


def test_lengths_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="add up to 3, but there are 2 tokens"):
        ImageTokens(torch.tensor([1, 2]), torch.tensor([[3]]))
