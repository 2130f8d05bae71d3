"""Views of pictures: all of a training example share one, and nobody else notices."""

from dataclasses import replace

import numpy as np
import torch

from pigeon_recsys.alignment.documents import draw_documents
from pigeon_recsys.alignment.examples import AS_IT_IS_SHARE, EMPTY, Examples, ItemTokens
from pigeon_recsys.alignment.picture_views import View, draw_views, shown_pictures
from tests.alignment.tiny_pigeon import NUM_ITEMS, tiny_items, tiny_pigeon

NUM_VIEWS = 3
WINDOWS = np.array([[0, 1, 2, 3, 4, 5], [EMPTY, EMPTY, 5, 4, 3, 0]])


def pictures(count: int = 3) -> np.ndarray:
    """Return pictures of noise."""
    return np.random.default_rng(0).integers(0, 256, (count, 24, 24, 3), dtype=np.uint8)


def viewed_items() -> ItemTokens:
    """Return tiny items in three views whose ids tell the view apart."""
    items = tiny_items(tiny_pigeon())
    visual = [items.visual_NT + 100 * view for view in range(NUM_VIEWS)]
    return ItemTokens(items.row, torch.cat(visual), items.words * NUM_VIEWS)


def test_the_first_view_leaves_pictures_as_they_are() -> None:
    shown = torch.cat(list(shown_pictures(pictures(), draw_views(2, seed=0))))
    as_they_are = torch.from_numpy(pictures()).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.equal(shown[:3], as_they_are)
    assert not torch.allclose(shown[3:], as_they_are, atol=0.1)


def test_views_differ_and_follow_the_seed() -> None:
    assert len(set(draw_views(24, seed=0))) == 24
    assert draw_views(24, seed=0) == draw_views(24, seed=0)
    assert draw_views(24, seed=0)[1:] != draw_views(24, seed=1)[1:]


def test_a_mirror_and_an_exchange_of_colours_are_exact() -> None:
    pixels_BCHW = torch.rand(2, 3, 24, 24)
    mirrored = View(is_mirrored=True).show(pixels_BCHW)
    assert torch.allclose(mirrored, pixels_BCHW.flip(-1), atol=1e-5)
    recoloured = View(colours=(2, 0, 1)).show(pixels_BCHW)
    assert torch.allclose(recoloured, pixels_BCHW[:, [2, 0, 1]], atol=1e-5)


def test_all_pictures_of_a_document_share_a_view() -> None:
    items = viewed_items()
    generator = torch.Generator().manual_seed(0)
    views = []
    for _ in range(100):
        documents = draw_documents(Examples(items, WINDOWS, WINDOWS), 4, generator)
        for window in documents.window_BW:
            view = np.unique(window[window != EMPTY] // NUM_ITEMS)
            assert len(view) == 1
            views.append(view[0])
    share = np.bincount(views) / len(views)
    assert abs(share[0] - AS_IT_IS_SHARE) < 0.07
    assert (share[1:] > 0.3).all()


def test_one_view_changes_no_draw() -> None:
    """So training without views goes on as before, number for number."""
    items = tiny_items(tiny_pigeon())
    generator, untouched = (torch.Generator().manual_seed(0) for _ in range(2))
    assert (items.draw_view(4, generator) == 0).all()
    assert torch.equal(generator.get_state(), untouched.get_state())


def test_words_stay_with_their_item_in_every_view() -> None:
    items = viewed_items()
    rows = items.seen(np.array([3, EMPTY]), np.array([2, 2]))
    assert rows.tolist() == [3 + 2 * NUM_ITEMS, EMPTY]
    assert items.words[rows[0]] == items.words[3]
    assert replace(items, visual_NT=items.visual_NT[:NUM_ITEMS]).num_views == 1
