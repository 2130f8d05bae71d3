"""Views: near their pictures, different each time, and coarse, bent and tinted as paintings are."""

import torch

from pigeon_recsys.evaluation.evaluator_views import bent, coarse, patchwork, tinted, view


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def checkerboard(batch: int) -> torch.Tensor:
    """Black and white pixels in turn, (batch, 3, 64, 64)."""
    board = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    return board.float().expand(batch, 3, 64, 64)


def test_views_are_near_their_pictures_and_repeat_with_the_generator():
    images = torch.randint(256, (4, 64, 64, 3), generator=generator()).to(torch.uint8)
    one, two, other = (view(images, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.shape == (4, 3, 64, 64)
    assert one.min() >= 0
    assert one.max() <= 1
    assert abs(one.mean() - images.float().mean() / 255) < 0.1


def test_a_share_of_views_loses_fine_detail_and_the_rest_keeps_it():
    """A checkerboard of single pixels has a spread of 0.5, and next to none when made coarse."""
    spread = coarse(checkerboard(64), generator()).std(dim=(1, 2, 3))
    assert 0.1 < (spread > 0.49).float().mean() < 0.5
    assert (spread < 0.2).float().mean() > 0.4


def test_pictures_of_one_colour_survive_bending():
    plain = torch.full((3, 3, 64, 64), 0.25)
    assert torch.allclose(bent(plain, generator()), plain)


def test_tints_differ_between_patches_and_leave_black_black():
    grey = torch.full((8, 3, 64, 64), 0.5)
    assert tinted(grey, generator())[0].std() > 0
    assert tinted(torch.zeros(2, 3, 64, 64), generator()).max() == 0


def test_a_patchwork_is_smooth_and_has_channels_of_its_own():
    field = patchwork(torch.zeros(6, 3, 64, 48), 2, 0.3, generator())
    assert field.shape == (6, 2, 64, 48)
    assert field.diff(dim=-1).abs().max() < field.abs().max() / 2
    assert not torch.equal(field[:, 0], field[:, 1])
