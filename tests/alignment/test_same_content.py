"""References of the same content: drawn among the others."""

from collections import Counter

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.examples import EMPTY, Examples, reconstruction_batch
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from tests.alignment.tiny_pigeon import NUM_ITEMS, tiny_items, tiny_pigeon
from tests.datasets.conftest import MakeFolder, make_folder

__all__ = ["make_folder"]

# items 0, 1 and 2 show the same; 3 and 4 do; the others are alone
GROUPS = {0: {1, 2}, 1: {0, 2}, 2: {0, 1}, 3: {4}, 4: {3}}
WINDOWS = np.array([[0, 1, 2, 3, 4, 5], [EMPTY, EMPTY, 5, 4, 3, 0]])


@pytest.fixture
def same() -> SameContent:
    others = np.arange(NUM_ITEMS)[:, None].repeat(2, axis=1)
    count = np.zeros(NUM_ITEMS, dtype=np.int64)
    for row, group in GROUPS.items():
        count[row] = len(group)
        others[row, : len(group)] = sorted(group)
    return SameContent(others, count)


@pytest.fixture
def examples(same: SameContent) -> Examples:
    return Examples(tiny_items(tiny_pigeon()), WINDOWS, WINDOWS, same)


def test_items_are_grouped_by_the_attribute(make_folder: MakeFolder) -> None:
    """Of a, b and c the first two are flat."""
    same = SameContent.read(DatasetFolder.open(make_folder()), "style")
    assert same.others_NK.tolist() == [[1], [0], [2]]
    assert same.count_N.tolist() == [1, 1, 0]


def test_an_attribute_without_equals_is_refused(make_folder: MakeFolder) -> None:
    with pytest.raises(SettingsError, match=r"'emotion' \(attributes: style, emotion, tags\)"):
        SameContent.read(DatasetFolder.open(make_folder()), "emotion")


def test_every_other_picture_is_drawn_as_often_and_never_itself(same: SameContent) -> None:
    drawn = same.draw(np.zeros(4000, dtype=np.int64), torch.Generator().manual_seed(0))
    counts = Counter(drawn.tolist())
    assert set(counts) == GROUPS[0]
    assert abs(counts[1] - 2000) < 5 * np.sqrt(1000)


def test_an_item_alone_stands_for_itself(same: SameContent) -> None:
    rows = np.array([5, 6, 3])
    assert same.draw(rows, torch.Generator().manual_seed(0)).tolist() == [5, 6, 4]


def test_a_share_of_the_targets_stays_its_own_reference(examples: Examples) -> None:
    target = np.zeros(4000, dtype=np.int64)
    rows = examples.references(target, torch.Generator().manual_seed(0), own_share=0.25)
    assert rows is not None
    assert abs((rows == 0).sum() - 1000) < 5 * np.sqrt(750)


def test_a_reference_of_its_own_changes_the_picture_but_not_words_or_target(
    examples: Examples,
) -> None:
    own, own_target = reconstruction_batch(examples.items, WINDOWS)
    other, other_target = reconstruction_batch(
        examples.items, WINDOWS, reference_B=np.array([7, 8])
    )
    assert torch.equal(other.reference_BT, examples.items.visual_NT[[7, 8]])
    assert torch.equal(own_target, other_target)
    assert torch.equal(own.text_BL, other.text_BL)
