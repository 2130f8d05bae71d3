"""Request documents: each branch is Pigeon's prompt, and what is drawn stays within bounds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pigeon_recsys.alignment import request_documents
from pigeon_recsys.alignment.examples import EMPTY, Examples, ItemTokens, reconstruction_batch
from pigeon_recsys.alignment.request_documents import (
    REQUEST_WINDOW,
    Requests,
    draw_requests,
    plain_requests,
    request_loss,
)
from pigeon_recsys.alignment.same_content import SameContent
from pigeon_recsys.history.instruction import Instruction
from pigeon_recsys.model.mask import MaskConfig
from pigeon_recsys.model.personalize import PersonalizeConfig
from pigeon_recsys.model.pigeon import HISTORY_LENGTH, Pigeon, PigeonConfig
from tests.alignment.tiny_pigeon import NUM_ITEMS, tiny_backbone, tiny_items, tiny_pigeon

# even items show the same as the next odd one
OTHER = np.arange(NUM_ITEMS) ^ 1
WINDOWS = np.array([list(range(10)), [EMPTY, EMPTY, *range(11, 3, -1)]])
NUM_VIEWS = 3


@pytest.fixture
def items() -> ItemTokens:
    return tiny_items(tiny_pigeon())


@pytest.fixture
def examples(items: ItemTokens) -> Examples:
    return Examples(items, WINDOWS, WINDOWS, SameContent(OTHER[:, None], np.ones(NUM_ITEMS, int)))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss_of(requests: Requests, items: ItemTokens, seed: int = 0) -> torch.Tensor:
    return request_loss(tiny_backbone(), items, requests, Instruction(), seeded(seed))


def plain(examples: Examples) -> Requests:
    """Return requests with whole references, whose loss depends on no draw."""
    requests = plain_requests(examples, WINDOWS, seeded())
    return replace(requests, reference_keep_BA=torch.ones(requests.asked_BA.shape))


def test_a_branch_is_the_prompt_that_pigeon_will_be_given(examples: Examples) -> None:
    """Without masks and with an untrained adapter the losses are those of stage 1."""
    config = PigeonConfig(
        mask=MaskConfig(kind="none"), personalize=PersonalizeConfig(reference_form="tokens")
    )
    pigeon = Pigeon(tiny_backbone(), config).eval()
    requests = plain(examples)
    loss_BA = loss_of(requests, examples.items)
    for place in range(requests.asked_BA.shape[1]):
        window = np.column_stack([requests.history_BH, requests.asked_BA[:, place]])
        batch, target_BT = reconstruction_batch(
            examples.items, window, reference_B=requests.reference_BA[:, place]
        )
        expected = pigeon.reconstruction_loss(batch, target_BT, torch.zeros(2), None)
        assert torch.allclose(loss_BA[:, place].mean(), expected, atol=1e-5)


def test_a_request_does_not_depend_on_those_beside_it(examples: Examples) -> None:
    requests = plain(examples)
    changed = requests.reference_BA.copy()
    changed[:, 0] = (changed[:, 0] + 5) % NUM_ITEMS
    first = loss_of(requests, examples.items)
    second = loss_of(replace(requests, reference_BA=changed), examples.items)
    assert not torch.allclose(first[:, 0], second[:, 0], atol=1e-6)
    assert torch.allclose(first[:, 1:], second[:, 1:], atol=1e-6)


def test_every_like_of_a_window_is_shown_or_asked_for_once(examples: Examples) -> None:
    for seed in range(20):
        requests = draw_requests(examples, 4, seeded(seed))
        shown = (requests.history_BH != EMPTY).any(axis=1)
        windows = {tuple(sorted(window)) for window in WINDOWS}
        drawn = np.column_stack([requests.history_BH, requests.asked_BA])
        assert drawn.shape[1] == REQUEST_WINDOW
        assert {tuple(sorted(row)) for row in drawn[shown]} <= windows


def test_the_likes_of_a_window_change_places(examples: Examples) -> None:
    first_asked = {int(draw_requests(examples, 1, seeded(s)).asked_BA[0, 0]) for s in range(60)}
    assert len(first_asked) > 6


def test_references_show_the_same_content_and_words_are_left_out_only_beside_them(
    examples: Examples,
) -> None:
    wordless = shown = asked = bare = rows = 0
    for seed in range(200):
        requests = draw_requests(examples, 4, seeded(seed))
        has_reference = requests.reference_BA != EMPTY
        expected = OTHER[requests.asked_BA[has_reference]]
        assert (requests.reference_BA[has_reference] == expected).all()
        assert not (requests.wordless_BA & ~has_reference).any()
        wordless, shown = wordless + requests.wordless_BA.sum(), shown + has_reference.sum()
        asked += (requests.asked_BA != EMPTY).sum()
        bare += (requests.history_BH == EMPTY).all(axis=1).sum()
        rows += len(requests.history_BH)
    assert abs(wordless / shown - request_documents.WORDLESS_SHARE) < 0.05
    assert abs(shown / asked - request_documents.REFERENCE_SHARE) < 0.03
    assert abs(bare / rows - request_documents.NO_HISTORY_SHARE) < 0.04


def test_a_picture_that_is_its_own_reference_is_always_masked(examples: Examples) -> None:
    """Whole, it would be copied, and nobody would look at the history."""
    alone = replace(examples, same=SameContent.none(NUM_ITEMS))
    for drawn_from, is_alone in ((alone, True), (examples, False)):
        requests = draw_requests(drawn_from, 64, seeded())
        keep = requests.reference_keep_BA[torch.from_numpy(requests.reference_BA != EMPTY)]
        assert (keep < 1).all().item() is is_alone


def test_misled_tokens_are_the_references_and_the_target_stays(examples: Examples) -> None:
    """Misled altogether, what is written before a token is the reference: as if it were asked."""
    requests = plain(examples)
    asked = replace(requests, misled_B=torch.ones(2))
    assert not torch.allclose(
        loss_of(requests, examples.items), loss_of(asked, examples.items), atol=1e-6
    )
    same = replace(requests, reference_BA=requests.asked_BA)
    assert torch.allclose(
        loss_of(same, examples.items),
        loss_of(replace(same, misled_B=torch.ones(2)), examples.items),
        atol=1e-6,
    )


def test_nobody_is_misled_by_a_reference_that_is_not_there(examples: Examples) -> None:
    requests = replace(plain(examples), reference_BA=np.full((2, 5), EMPTY))
    misled = replace(requests, misled_B=torch.ones(2))
    assert torch.equal(loss_of(requests, examples.items), loss_of(misled, examples.items))


def test_a_request_without_words_does_not_depend_on_them(examples: Examples) -> None:
    reworded = replace(examples.items, words=tuple([4, 5] for _ in examples.items.words))
    requests = plain(examples)
    wordless = replace(requests, wordless_BA=np.ones((2, 5), dtype=bool))
    assert torch.equal(loss_of(wordless, examples.items), loss_of(wordless, reworded))
    assert not torch.equal(loss_of(requests, examples.items), loss_of(requests, reworded))


def test_places_without_a_picture_count_nothing(examples: Examples) -> None:
    requests = plain(examples)
    asked = requests.asked_BA.copy()
    asked[1, 2] = EMPTY
    loss_BA = loss_of(replace(requests, asked_BA=asked), examples.items)
    expected = loss_of(requests, examples.items)
    expected[1, 2] = 0
    assert torch.allclose(loss_BA, expected, atol=1e-5)


def test_all_pictures_of_a_document_share_a_view(examples: Examples) -> None:
    visual = [examples.items.visual_NT + 100 * view for view in range(NUM_VIEWS)]
    viewed = replace(
        examples,
        items=ItemTokens(examples.items.row, torch.cat(visual), examples.items.words * NUM_VIEWS),
    )
    seen = set()
    for seed in range(20):
        requests = draw_requests(viewed, 4, seeded(seed))
        for row in np.column_stack([requests.history_BH, requests.asked_BA, requests.reference_BA]):
            views = np.unique(row[row != EMPTY] // NUM_ITEMS)
            assert len(views) == 1
            seen.add(int(views[0]))
    assert seen == set(range(NUM_VIEWS))


def test_a_row_without_history_is_told_by_its_reference_alone(examples: Examples) -> None:
    requests = plain(examples)
    bare = replace(requests, history_BH=np.full((2, HISTORY_LENGTH), EMPTY))
    assert not torch.allclose(
        loss_of(requests, examples.items), loss_of(bare, examples.items), atol=1e-6
    )
    assert loss_of(bare, examples.items).isfinite().all()
