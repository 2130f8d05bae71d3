"""References of the same content: drawn among the others, in training as in documents."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment.documents import (
    Documents,
    document_loss,
    draw_documents,
    draw_references,
)
from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens, reconstruction_batch
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.backbones.mini.backbone import MiniBackbone
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.history.instruction import Instruction
from tests.alignment.tiny_pigeon import NUM_ITEMS, tiny_backbone, tiny_items, tiny_pigeon
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


def test_documents_show_references_only_where_there_are_pictures(examples: Examples) -> None:
    reference = draw_references(
        examples, WINDOWS, torch.Generator().manual_seed(0), every_place=True, share=1.0
    )
    assert reference is not None
    assert ((reference == EMPTY) == (WINDOWS == EMPTY)).all()
    last = draw_references(
        examples, WINDOWS, torch.Generator().manual_seed(0), every_place=False, share=1.0
    )
    assert last is not None
    assert (last[:, :-1] == EMPTY).all()
    assert last[0, -1] == 5  # alone
    assert last[1, -1] in GROUPS[0]


def test_a_picture_depends_on_its_reference_and_those_before_it_do_not(
    examples: Examples,
) -> None:
    backbone: MiniBackbone = tiny_backbone()

    def losses(reference: int) -> torch.Tensor:
        shown = np.full_like(WINDOWS, EMPTY)
        shown[:, -1] = reference
        documents = Documents(WINDOWS, captioned=False, reference_BW=shown)
        return document_loss(backbone, examples.items, documents, Instruction())

    first, second = losses(7), losses(8)
    assert torch.allclose(first[:-1], second[:-1], atol=1e-6)
    assert not torch.allclose(first[-1], second[-1], atol=1e-6)


def test_words_are_left_out_only_beside_a_reference(examples: Examples) -> None:
    """Half of the pictures with a reference come without words, no other one."""
    wordless = shown = 0
    for seed in range(200):
        documents = draw_documents(examples, 4, torch.Generator().manual_seed(seed))
        assert documents.wordless_BW is not None
        assert documents.reference_BW is not None
        has_reference = documents.reference_BW != EMPTY
        assert not (documents.wordless_BW & ~has_reference).any()
        wordless, shown = wordless + documents.wordless_BW.sum(), shown + has_reference.sum()
    assert abs(wordless / shown - 0.5) < 0.05


def test_a_picture_without_words_does_not_depend_on_them(examples: Examples) -> None:
    backbone: MiniBackbone = tiny_backbone()
    reworded = replace(examples.items, words=tuple([4, 5] for _ in examples.items.words))

    def last_loss(items: ItemTokens, *, wordless: bool) -> torch.Tensor:
        left_out = np.full(WINDOWS.shape, wordless)
        documents = Documents(WINDOWS, captioned=False, wordless_BW=left_out)
        return document_loss(backbone, items, documents, Instruction())[-1]

    assert last_loss(examples.items, wordless=True) == last_loss(reworded, wordless=True)
    assert last_loss(examples.items, wordless=False) != last_loss(reworded, wordless=False)
