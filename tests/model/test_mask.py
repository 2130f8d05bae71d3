"""Mask generation: how many tokens are kept, which, and that the choice can be learned."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.gumbel_top_k import gumbel_noise, keep_top, num_kept
from pigeon_recsys.model.mask import (
    PAD,
    KeepMasks,
    MaskConfig,
    MaskGenerator,
    MaskKind,
    grid_rows,
    same_image,
)

# B rows, N tokens


def test_kept_count_is_the_floor_but_never_none() -> None:
    """⌊10·0.8⌋ = 8, ⌊7·0.8⌋ = 5, ⌊4·0⌋ = 0 becomes 1, none of none stay none."""
    kept = num_kept(torch.tensor([10, 7, 4, 0]), torch.tensor([0.2, 0.2, 1.0, 0.5]))
    assert kept.tolist() == [8, 5, 1, 0]


@given(st.integers(1, 256), st.integers(0, 10))
def test_no_token_is_lost_to_rounding(count: int, tenths: int) -> None:
    kept = num_kept(torch.tensor([count]), torch.tensor([tenths / 10]))
    assert kept.item() == max(1, count * (10 - tenths) // 10)


def test_the_most_relevant_candidates_are_kept() -> None:
    """Row 0 keeps 2 of 4; row 1 has 2 candidates, keeps 1, and ignores the larger outsiders."""
    logits = torch.tensor([[0.1, 0.9, 0.5, 0.2], [0.1, 0.2, 9.0, 9.0]])
    candidates = torch.tensor([[True] * 4, [True, True, False, False]])
    keep = keep_top(logits, candidates, torch.tensor([0.5, 0.5]))
    assert keep.round().tolist() == [[0, 1, 1, 0], [0, 1, 0, 0]]


def test_a_row_without_candidates_keeps_nothing_and_has_no_nan() -> None:
    logits = torch.zeros(1, 3, requires_grad=True)
    keep = keep_top(logits, torch.zeros(1, 3, dtype=torch.bool), torch.tensor([0.2]))
    keep.sum().backward()
    assert keep.tolist() == [[0, 0, 0]]
    assert torch.isfinite(logits.grad).all()


def test_noise_keeps_tokens_as_often_as_their_probability() -> None:
    """Keeping one of two with logits ln 3 and 0 picks the first three times in four."""
    rows = 20_000
    logits = torch.tensor([3.0, 1.0]).log().expand(rows, 2)
    candidates = torch.ones(rows, 2, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    noise = gumbel_noise(logits.shape, generator)
    keep = keep_top(logits, candidates, torch.full((rows,), 0.5), noise)
    assert keep[:, 0].mean().item() == pytest.approx(0.75, abs=0.01)


def test_the_choice_carries_the_gradient_of_the_softmax() -> None:
    logits = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
    value = torch.tensor([[2.0, 1.0, 5.0]])
    keep = keep_top(logits, torch.ones(1, 3, dtype=torch.bool), torch.tensor([0.5]))
    (keep * value).sum().backward()
    soft = torch.softmax(logits.detach(), dim=1)
    expected = soft * (value - (soft * value).sum())
    torch.testing.assert_close(logits.grad, expected)


def make_inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    history = torch.randn(2, 5, 6, 32, generator=generator)
    reference = torch.randn(2, 6, 32, generator=generator)
    return history, torch.ones(2, 5, dtype=torch.bool), reference, torch.tensor([0.5, 0.0])


def test_training_keeps_what_inference_hides_of_the_reference() -> None:
    masker = MaskGenerator(32, MaskConfig(dropout=0.0))
    inputs = make_inputs()
    masker.eval()
    most = masker(*inputs).reference_BT[0].round()
    masker.train()
    least = masker(*inputs).reference_BT[0].round()
    assert most.sum() == least.sum() == 3
    assert (most + least == 1).all()


def test_history_is_ranked_over_all_images_together() -> None:
    masker = MaskGenerator(32, MaskConfig()).eval()
    masks = masker(*make_inputs())
    kept = masks.history_BHT.round()
    relevance = masks.history_relevance_BHT
    assert kept.sum(dim=(1, 2)).tolist() == [24, 24]  # ⌊30·0.8⌋
    assert (
        relevance[kept == 1]
        .view(2, -1)
        .min(dim=1)
        .values.ge(relevance[kept == 0].view(2, -1).max(dim=1).values)
        .all()
    )


def test_rows_do_not_depend_on_their_neighbours() -> None:
    masker = MaskGenerator(32, MaskConfig()).eval()
    history, present, reference, ratio = make_inputs()
    present = torch.tensor([[True] * 5, [False, False, False, True, True]])
    together = masker(history, present, reference, ratio)
    alone = masker(history[1:], present[1:], reference[1:], ratio[1:])
    torch.testing.assert_close(together.history_BHT[1:].round(), alone.history_BHT.round())
    assert together.history_BHT[1, :3].sum() == 0


def test_a_stray_image_is_the_least_relevant_before_any_training() -> None:
    """Four images that have something in common and one that has not, small as embeddings are."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, 5, 6, 32, generator=generator)
    history = noise + 2 * torch.randn(8, 1, 1, 32, generator=generator)
    history[:, 2] = noise[:, 2] + 2 * torch.randn(8, 1, 32, generator=generator)
    reference = torch.randn(8, 6, 32, generator=generator)
    torch.manual_seed(0)
    masker = MaskGenerator(32, MaskConfig()).eval()
    present, ratio = torch.ones(8, 5, dtype=torch.bool), torch.zeros(8)
    for scale in (1.0, 0.01):
        masks = masker(scale * history, present, scale * reference, ratio)
        relevance_BH = masks.history_relevance_BHT.mean(dim=2)
        assert (relevance_BH.argmin(dim=1) == 2).float().mean() >= 7 / 8


def test_a_token_is_seen_in_the_light_of_other_images_alone() -> None:
    masker = MaskGenerator(32, MaskConfig()).eval()
    history, present, reference, _ = make_inputs()
    rows = grid_rows(history, present, reference)
    pad_BL = rows.type_BL == PAD
    changed = rows.embed_BLD.clone()
    changed[:, 1:6] = changed[:, 1:6].flip(-1)  # the rest of the first token's image
    elsewhere = rows.embed_BLD.clone()
    elsewhere[:, 6:12] = elsewhere[:, 6:12].flip(-1)

    def first(embed_BLD: torch.Tensor) -> torch.Tensor:
        layout = (rows.position_BL, rows.type_BL, pad_BL)
        return masker.encode(embed_BLD, *layout, same_image(rows))[:, 0]

    torch.testing.assert_close(first(changed), first(rows.embed_BLD))
    assert not torch.allclose(first(elsewhere), first(rows.embed_BLD), atol=1e-3)


def test_an_image_alone_with_its_reference_absent_is_still_judged() -> None:
    masker = MaskGenerator(32, MaskConfig()).eval()
    history, present, reference, ratio = make_inputs()
    present[:] = False
    masks = masker(history, present, reference, ratio)
    assert torch.isfinite(masks.reference_relevance_BT).all()


def decide(kind: MaskKind, seed: int | None = None, present: int = 5) -> KeepMasks:
    history, places, reference, ratio = make_inputs()
    places[:, : 5 - present] = False
    torch.manual_seed(0)
    masker = MaskGenerator(32, MaskConfig(kind=kind)).eval()
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    masks: KeepMasks = masker(history, places, reference, ratio, generator)
    return masks


def test_a_random_mask_keeps_as_many_tokens_but_not_by_relevance() -> None:
    """Of 3 images of 6 tokens ⌊18·0.8⌋ = 14 stay; of 6 reference tokens 3 at ratio 0.5, 6 at 0."""
    trained, drawn, other = decide("trained", None, 3), decide("random", 0, 3), decide("random", 1)
    for masks in (trained, drawn):
        assert masks.history_BHT.sum(dim=(1, 2)).tolist() == [14, 14]
        assert masks.reference_BT.sum(dim=1).tolist() == [3, 6]
        assert masks.history_BHT[:, :2].sum() == 0
    assert not torch.equal(trained.history_BHT, drawn.history_BHT)
    assert not torch.equal(other.history_BHT[:, 2:], drawn.history_BHT[:, 2:])
    assert torch.equal(decide("random", 0, 3).history_BHT, drawn.history_BHT)


def test_no_mask_keeps_every_token_that_is_there() -> None:
    masks = decide("none", present=3)
    assert masks.history_BHT[:, 2:].eq(1).all()
    assert masks.history_BHT[:, :2].eq(0).all()
    assert masks.reference_BT.eq(1).all()


@pytest.mark.parametrize("kind", ["random", "none"])
def test_only_a_trained_mask_sends_gradients(kind: MaskKind) -> None:
    masker = MaskGenerator(32, MaskConfig(kind=kind)).train()
    masks = masker(*make_inputs(), generator=torch.Generator().manual_seed(0))
    if masks.history_BHT.requires_grad:
        masks.history_BHT.square().sum().backward()
    gradients = [p.grad for p in masker.parameters() if p.grad is not None]
    assert all(gradient.eq(0).all() for gradient in gradients)


def test_a_random_mask_without_noise_is_refused() -> None:
    with pytest.raises(SettingsError, match="a random mask needs noise, got none"):
        decide("random")


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"mask.kind must be one of \('trained', 'random', 'n"):
        MaskConfig(kind="learned")  # type: ignore[arg-type]
