"""Sample sheets: what should be made stands beside what the model makes now."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.examples import EMPTY, Examples
from pigeon_recsys.alignment.pairs import PairTable
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.alignment.sample_sheet import backbone_sheet, pair_sheet, pigeon_sheet
from pigeon_recsys.backbones.pixel_range import to_pixels
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.records import Pixels
from tests.alignment.tiny_pigeon import NUM_ITEMS, SIDE, tiny_items, tiny_pigeon

WINDOWS = np.array(
    [
        [EMPTY] * 8 + [1, 2],
        list(range(10)),
        [11, *range(9)],
        list(range(2, 12)),
        list(range(9, -1, -1)),
    ]
)
SHOWN = [0, 1, 2, 3]  # four rows of five, spread


@pytest.fixture
def pigeon() -> Pigeon:
    return tiny_pigeon()


def examples(pigeon: Pigeon, same: SameContent | None = None) -> Examples:
    return Examples(tiny_items(pigeon), WINDOWS, WINDOWS, same)


def soft(pigeon: Pigeon, visual_BT: torch.Tensor) -> Pixels:
    return to_pixels(pigeon.backbone.detokenize(visual_BT, 0, torch.Generator()))


@pytest.mark.parametrize("same", [None, SameContent.none(NUM_ITEMS)])
def test_the_language_models_sheet_shows_targets_and_what_it_writes(
    pigeon: Pigeon, same: SameContent | None
) -> None:
    """Other weights write other pictures; the targets, a window's last likes, stay."""
    targets, written = backbone_sheet(pigeon.backbone, examples(pigeon, same), Instruction())
    items = tiny_items(pigeon)
    np.testing.assert_array_equal(targets, soft(pigeon, items.visual_NT[WINDOWS[SHOWN, -1]]))
    assert written.shape == (4, SIDE, SIDE, 3)
    with torch.no_grad():
        pigeon.backbone.place_embedding.weight.normal_()
    targets_2, written_2 = backbone_sheet(pigeon.backbone, examples(pigeon, same), Instruction())
    np.testing.assert_array_equal(targets_2, targets)
    assert not np.array_equal(written_2, written)


def test_a_reference_is_in_the_prompt_where_the_language_model_knows_references(
    pigeon: Pigeon,
) -> None:
    _, without = backbone_sheet(pigeon.backbone, examples(pigeon), Instruction())
    asks = examples(pigeon, SameContent.none(NUM_ITEMS))
    _, shown = backbone_sheet(pigeon.backbone, asks, Instruction())
    assert not np.array_equal(without, shown)


def test_a_sheet_is_the_same_each_time(pigeon: Pigeon) -> None:
    first, again = (pigeon_sheet(pigeon, examples(pigeon)) for _ in range(2))
    for column, repeated in zip(first, again, strict=True):
        np.testing.assert_array_equal(column, repeated)


def test_the_sheet_of_pairs_shows_chosen_rejected_and_what_the_policy_writes(
    pigeon: Pigeon,
) -> None:
    items = tiny_items(pigeon)
    window = WINDOWS[:, -6:]
    pairs = PairTable(window, items.visual_NT[:5], items.visual_NT[5:10], np.ones(5, np.float32))
    chosen, rejected, written = pair_sheet(pigeon, items, pairs)
    assert len(chosen) == len(rejected) == len(written) == 4
    swapped = replace(pairs, chosen_PT=pairs.rejected_PT, rejected_PT=pairs.chosen_PT)
    other_chosen, other_rejected, same_written = pair_sheet(pigeon, items, swapped)
    np.testing.assert_array_equal(written, same_written)
    assert not np.array_equal(chosen, other_chosen)
    assert not np.array_equal(rejected, other_rejected)
