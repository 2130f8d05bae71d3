"""Masks of the released code, number by number, and where this project's own differ."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from pigeon_recsys.model.gumbel_top_k import (
    gumbel_noise,
    keep_probability,
    num_kept,
    released_training_logit,
)
from pigeon_recsys.model.mask import (
    HISTORY,
    REFERENCE,
    MaskConfig,
    MaskGenerator,
    TokenRows,
)
from pigeon_recsys.model.personalize import PersonalizeConfig, ReferenceEmbedding
from pigeon_recsys.model.released_mask import RELEASED_MASK, mask_at_random
from pigeon_recsys.model.released_tokens import HIDDEN, ImageTokens

TINY_DIM = 32  # width of the recorded model
CASES = 16

# B rows, L tokens of a row


@pytest.fixture(scope="module")
def folder(golden: Path) -> Path:
    return golden / "1_mask_generator"


@pytest.fixture(scope="module")
def rows(folder: Path) -> TokenRows:
    inputs = load_file(folder / "inputs.safetensors")
    return TokenRows(inputs["token_embeds"], inputs["position_ids"], inputs["type_ids"])


@pytest.fixture(scope="module")
def cases(golden: Path) -> list[dict[str, Any]]:
    manifest = json.loads((golden / "manifest.json").read_text())
    return [case for case in manifest["cases"] if "kept" in case]


def load_masker(folder: Path, config: MaskConfig) -> MaskGenerator:
    masker = MaskGenerator(TINY_DIM, config).eval()
    masker.load_state_dict(load_file(folder / "weights.safetensors"))
    return masker


def test_relevance_matches_the_recorded_one(folder: Path, rows: TokenRows) -> None:
    inputs = load_file(folder / "inputs.safetensors")
    masker = load_masker(folder, RELEASED_MASK)
    pad = inputs["attention_mask"]
    output = masker.encode(rows.embed_BLD, rows.position_BL, rows.type_BL, pad)
    close(output[~pad], inputs["output_embeds"][~pad])
    close(masker.relevance(rows)[~pad], inputs["cos_sim"][~pad])


def test_decisions_and_probabilities_match_in_all_recorded_cases(
    folder: Path, rows: TokenRows, cases: list[dict[str, Any]]
) -> None:
    assert len(cases) == CASES
    is_history, is_reference = rows.type_BL == HISTORY, rows.type_BL == REFERENCE
    for case in cases:
        recorded = load_file(folder.parent / case["file"])
        config = replace(RELEASED_MASK, history_ratio=case["hist_mask_ratio"])
        masker = load_masker(folder, config)
        relevance = masker.relevance(rows).detach()
        masker.train(not case["inference"])
        ratio = torch.full((3,), case["mask_ratio"], dtype=torch.float64)
        keep = masker.keep(relevance, rows.type_BL, ratio, -recorded["noise_exp"].log())
        close(keep, recorded["keep_decision"])
        close(keep_probability(relevance, is_history), recorded["hist_keep_prob"])
        reference = keep_probability(relevance, is_reference)
        if not case["inference"]:
            reference = released_training_logit(relevance, is_reference).exp()
        close(reference, recorded["target_keep_prob"])


def test_default_counts_agree_where_the_released_code_loses_nothing_to_rounding(
    rows: TokenRows, cases: list[dict[str, Any]]
) -> None:
    for case in cases:
        for key, type_id, ratio in (
            ("history", HISTORY, case["hist_mask_ratio"]),
            ("target", REFERENCE, case["mask_ratio"]),
        ):
            count = (rows.type_BL == type_id).sum(dim=1)
            assert num_kept(count, torch.full((3,), ratio)).tolist() == case["kept"][key]


def test_the_reference_embedding_matches_the_recorded_one(folder: Path) -> None:
    recorded = load_file(folder / "adapter_mlp.safetensors")
    embedding = ReferenceEmbedding(40, TINY_DIM, PersonalizeConfig(reference_hidden=24)).eval()
    prefix = "weights."
    embedding.load_state_dict(
        {name.removeprefix(prefix): t for name, t in recorded.items() if name.startswith(prefix)}
    )
    close(embedding(recorded["x"][:, None]), recorded["y"])


def test_only_the_released_count_loses_a_token_to_rounding() -> None:
    """10·(1 − 0.8) is 1.9999999999999996 in binary: released keeps 1, the paper's floor is 2."""
    type_BL = torch.full((1, 10), REFERENCE)
    relevance, ratio = torch.zeros(1, 10), torch.tensor([0.8], dtype=torch.float64)
    kept = [
        MaskGenerator(8, config).eval().keep(relevance, type_BL, ratio).sum().item()
        for config in (RELEASED_MASK, MaskConfig())
    ]
    assert kept == [1, 2]


def test_only_the_released_mask_holds_back_the_gradient() -> None:
    type_BL = torch.tensor([[HISTORY] * 4 + [REFERENCE] * 4])
    for config, has_gradient in ((RELEASED_MASK, False), (MaskConfig(), True)):
        relevance = torch.linspace(-1, 1, 8)[None].requires_grad_()
        keep = MaskGenerator(8, config).keep(relevance, type_BL, torch.tensor([0.5]))
        assert keep.requires_grad == has_gradient


def test_the_released_training_mask_does_not_care_about_relevance() -> None:
    """Of 8 tokens the 4 most relevant are kept half the time, where ours keeps the others."""
    num_rows = 2000
    type_BL = torch.full((num_rows, 8), REFERENCE)
    relevance = torch.tensor([-0.5, 0.5]).repeat(num_rows, 4)
    noise = gumbel_noise(relevance.shape, torch.Generator().manual_seed(0))
    shares = []
    for config in (RELEASED_MASK, MaskConfig()):
        masker = MaskGenerator(8, config).train()
        keep = masker.keep(relevance, type_BL, torch.full((num_rows,), 0.5), noise)
        shares.append(keep[:, 1::2].mean().item())
    assert shares[0] == pytest.approx(0.5, abs=0.06)
    assert shares[1] < 0.02


def test_a_reference_of_one_token_is_kept_in_released_training() -> None:
    """Its probability is 1, and ln(1 − 1) must not lose against history and padding."""
    masker = MaskGenerator(8, RELEASED_MASK).train()
    type_BL = torch.tensor([[HISTORY, HISTORY, REFERENCE, 0]])
    noise = gumbel_noise(type_BL.shape, torch.Generator().manual_seed(0))
    keep = masker.keep(torch.zeros(1, 4), type_BL, torch.tensor([0.9]), noise)
    assert keep[0, 2] == 1
    assert keep[0, 3] == 0


def test_a_random_mask_hides_as_many_as_the_trained_one() -> None:
    """⌊5·0.5⌋ = 2 of five and ⌊4·0.5⌋ = 2 of four stay."""
    reference = ImageTokens(torch.arange(32_002, 32_011), torch.tensor([[5], [4]]))
    noise = gumbel_noise((2, 5), torch.Generator().manual_seed(0))
    masked = mask_at_random(reference, torch.tensor([0.5, 0.5]), noise)
    hidden = masked.rows((masked.id_N == HIDDEN).long(), 0).sum(dim=1)
    assert hidden.tolist() == [3, 2]


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)
