"""Prompts of the released code: every recorded merge, from ids to what the model makes of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedModel

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.model.mask import MaskGenerator
from pigeon_recsys.model.personalize import PersonalizeConfig, ReferenceEmbedding
from pigeon_recsys.model.released_mask import (
    RELEASED_MASK,
    MaskedImages,
    mask_at_random,
    mask_images,
    token_rows,
)
from pigeon_recsys.model.released_prompt import (
    REFERENCE_SLOT,
    ReleasedPrompt,
    embed_prompt,
    merge_prompt,
)
from pigeon_recsys.model.released_tokens import (
    HIDDEN,
    IGNORED,
    IMAGE_END,
    IMAGE_START,
    PAD_ID,
    ImageTokens,
)
from pigeon_recsys.model.released_writing import ReleasedWriting, write_released

MERGES = 26  # recorded for stickers and movies, training and inference
FIRST_COLUMN = 31_990  # of the recorded logits
TINY_DIM = 32  # width of the recorded model


@dataclass(frozen=True)
class Released:
    """The recorded tiny model in this project's modules."""

    language_model: PreTrainedModel
    mask_generator: MaskGenerator
    reference_embedding: ReferenceEmbedding
    images: dict[str, Tensor]

    @property
    def token_embedding(self) -> nn.Embedding:
        return self.language_model.get_input_embeddings()


@dataclass(frozen=True)
class Merge:
    """One recorded case and what this project makes of its inputs."""

    recorded: dict[str, Tensor]
    settings: dict[str, Any]
    history: ImageTokens
    target: ImageTokens


@pytest.fixture(scope="module")
def released(golden: Path) -> Released:
    weights = load_file(golden / "2_prompts" / "model_weights.safetensors")
    masker = MaskGenerator(TINY_DIM, replace(RELEASED_MASK, dropout=0.0))
    masker.load_state_dict(part_of(weights, "mask_generator."))
    embedding = ReferenceEmbedding(40, TINY_DIM, PersonalizeConfig(reference_hidden=24))
    embedding.load_state_dict(part_of(weights, "adapter."))
    folder = golden / "4_checkpoint" / "lavit" / "language_model"
    language_model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    images = load_file(golden / "2_prompts" / "image_table.safetensors")
    return Released(language_model.eval(), masker.eval(), embedding.eval(), images)


@pytest.fixture(scope="module")
def merges(golden: Path, released: Released) -> list[Merge]:
    manifest = json.loads((golden / "manifest.json").read_text())
    settings = [case for case in manifest["cases"] if "scenario" in case]
    assert len(settings) == MERGES
    return [read_merge(golden, case, released.images) for case in settings]


def read_merge(golden: Path, case: dict[str, Any], table: dict[str, Tensor]) -> Merge:
    recorded = load_file(golden / case["file"])
    image_BI = recorded["image"].tolist()
    history = image_tokens([[table[str(i)] for i in row[:-1]] for row in image_BI])
    target = image_tokens([[table[str(row[-1])]] for row in image_BI]).with_markers()
    return Merge(recorded, case, history, target)


def image_tokens(images: Sequence[Sequence[Tensor]]) -> ImageTokens:
    flat = torch.cat([image for row in images for image in row])
    return ImageTokens(flat, torch.tensor([[len(image) for image in row] for row in images]))


def part_of(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    chosen = {name for name in weights if name.startswith(prefix)}
    return {name.removeprefix(prefix): weights[name] for name in chosen}


def masked(merge: Merge, released: Released) -> MaskedImages:
    ratio = torch.full((3,), merge.settings["mask_ratio"], dtype=torch.float64)
    return mask_images(
        released.mask_generator.train(not merge.settings["inference"]),
        released.token_embedding,
        merge.history,
        merge.target,
        ratio,
        -merge.recorded["noise_exp"].log(),
    )


def prompt_of(merge: Merge, released: Released) -> ReleasedPrompt:
    is_mutual = merge.settings["mask_type"] == "mutual"
    history = masked(merge, released).history if is_mutual else merge.history
    if merge.settings["add_special"]:
        history = history.with_markers()
    target = None if merge.settings["inference"] else merge.target
    text, attend = merge.recorded["text_input_ids"], merge.recorded["text_attn_mask"]
    return merge_prompt(text, attend, history, target)


def embeds_of(prompt: ReleasedPrompt, merge: Merge, released: Released) -> Tensor:
    reference = released.reference_embedding(merge.recorded["tgt_embs"][:, None])
    return embed_prompt(prompt.id_BS, released.token_embedding, reference)


def test_ids_attention_and_labels_match_in_every_recorded_merge(
    merges: list[Merge], released: Released
) -> None:
    for merge in merges:
        prompt, recorded = prompt_of(merge, released), merge.recorded
        assert torch.equal(prompt.id_BS, recorded["input_ids"]), merge.settings["name"]
        assert torch.equal(prompt.attend_BS, recorded["attention_mask"])
        label = prompt.label_BS
        if merge.settings["inference"]:
            assert label.eq(IGNORED).all()
            label = merge.target.rows(merge.target.id_N, IGNORED)
        assert torch.equal(label, recorded["labels"])


def test_embeddings_match_in_every_recorded_merge(merges: list[Merge], released: Released) -> None:
    recorded = [merge for merge in merges if "inputs_embeds" in merge.recorded]
    assert len(recorded) == 14
    for merge in recorded:
        close(
            embeds_of(prompt_of(merge, released), merge, released), merge.recorded["inputs_embeds"]
        )


def test_masks_match_in_every_recorded_merge(merges: list[Merge], released: Released) -> None:
    mutual = [merge for merge in merges if merge.settings["mask_type"] == "mutual"]
    assert len(mutual) == 14
    for merge in mutual:
        recorded = merge.recorded
        together = merge.history.joined(merge.target)
        rows = token_rows(together, released.token_embedding)
        assert torch.equal(together.rows(together.id_N, PAD_ID), recorded["mg_input_ids"])
        assert torch.equal(rows.position_BL, recorded["mg_position_ids"])
        assert torch.equal(rows.type_BL, recorded["mg_type_ids"])
        images = masked(merge, released)
        is_token = ~recorded["mg_pad_mask"]
        close(images.relevance_BL[is_token], recorded["cos_sim"][is_token])
        close(images.keep_BL, recorded["keep_decision"])
        reference = images.reference if merge.settings["with_mask"] else merge.target
        if merge.settings["add_special"]:
            reference = reference.with_markers()
        assert torch.equal(reference.id_N, recorded["masked_labels.flat"])


def test_random_masks_hide_as_many_tokens_as_recorded(merges: list[Merge]) -> None:
    random = [merge for merge in merges if merge.settings["mask_type"] == "random"]
    assert len(random) == 6
    for merge in random:
        ratio = torch.full((3,), merge.settings["mask_ratio"], dtype=torch.float64)
        noise = torch.zeros(3, int(merge.target.length_BI.max()))
        ours = mask_at_random(merge.target, ratio, noise)
        recorded = replace(merge.target, id_N=merge.recorded["masked_labels.flat"])
        counts = [
            tokens.rows((tokens.id_N == HIDDEN).long(), 0).sum(dim=1).tolist()
            for tokens in (ours, recorded)
        ]
        assert counts[0] == counts[1]


@torch.no_grad()
def test_the_language_model_makes_the_recorded_loss_of_every_training_merge(
    merges: list[Merge], released: Released
) -> None:
    """This covers the merges whose embeddings were not recorded, too."""
    training = [merge for merge in merges if not merge.settings["inference"]]
    assert len(training) == 12
    for merge in training:
        prompt = prompt_of(merge, released)
        embeds = embeds_of(prompt, merge, released)
        logits = released.language_model(
            inputs_embeds=embeds, attention_mask=prompt.attend_BS
        ).logits[:, :-1]
        label = prompt.label_BS[:, 1:]
        shown = logits[label != IGNORED]
        scale = shown.abs().max()  # about 30; float32 holds no more digits
        close(shown[:, FIRST_COLUMN:] / scale, merge.recorded["logits_at_labels"] / scale)
        close(functional.cross_entropy(shown, label[label != IGNORED]), merge.recorded["loss"])


def test_the_language_model_writes_the_recorded_ids_after_every_merge(
    merges: list[Merge], released: Released
) -> None:
    inference = [merge for merge in merges if merge.settings["inference"]]
    assert len(inference) == 14
    writing = ReleasedWriting(min_tokens=4, max_tokens=12)
    for merge in inference:
        prompt = prompt_of(merge, released)
        embeds = embeds_of(prompt, merge, released)
        written = write_released(released.language_model, embeds, prompt.attend_BS, writing)
        assert torch.equal(written.id_KT, merge.recorded["generated"])


def test_four_beams_match_the_recorded_ones(golden: Path, released: Released) -> None:
    recorded = load_file(golden / "2_merge" / "sticker_inf_beam4.safetensors")
    writing = ReleasedWriting(min_tokens=4, max_tokens=10, num_beams=4)
    written = write_released(
        released.language_model, recorded["inputs_embeds"], recorded["attention_mask"], writing
    )
    assert torch.equal(written.id_KT, recorded["generated"])
    assert written.score_K is not None
    close(written.score_K, recorded["sequences_scores"])


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


# Worked out by hand: words 5 6, two history images [41] and [42 43], `<emb>`, the target [44].

WORDS = torch.tensor([[PAD_ID, 5, IMAGE_START, 6, IMAGE_START, IMAGE_END, IMAGE_START]])
ATTEND = torch.tensor([[0, 1, 1, 1, 1, 1, 1]])


@pytest.fixture
def history() -> ImageTokens:
    return ImageTokens(torch.tensor([41, 42, 43]), torch.tensor([[1, 2]]))


def test_images_take_the_places_of_their_placeholders(history: ImageTokens) -> None:
    target = ImageTokens(torch.tensor([44]), torch.tensor([[1]])).with_markers()
    prompt = merge_prompt(WORDS, ATTEND, history, target)
    s, e = IMAGE_START, IMAGE_END
    assert prompt.id_BS.tolist() == [[5, 41, 6, 42, 43, REFERENCE_SLOT, s, 44, e]]
    assert prompt.label_BS.tolist() == [[IGNORED] * 7 + [44, e]]
    assert prompt.attend_BS.all()


def test_without_a_target_the_prompt_ends_at_image_start(history: ImageTokens) -> None:
    prompt = merge_prompt(WORDS, ATTEND, history)
    assert prompt.id_BS.tolist() == [[5, 41, 6, 42, 43, REFERENCE_SLOT, IMAGE_START]]


def test_words_padded_on_the_right_merge_like_those_padded_on_the_left(
    history: ImageTokens,
) -> None:
    """The released code refuses them: it takes the image count of a row for too many."""
    left = merge_prompt(WORDS, ATTEND, history)
    right = merge_prompt(WORDS.roll(-1, dims=1), ATTEND.roll(-1, dims=1), history)
    assert torch.equal(left.id_BS, right.id_BS)


def test_a_pad_id_among_the_words_is_a_word(history: ImageTokens) -> None:
    """The released code tells padding by its id, which is also the end of a text."""
    words = WORDS.clone()
    words[0, 1] = PAD_ID
    assert merge_prompt(words, ATTEND, history).id_BS[0, :2].tolist() == [PAD_ID, 41]


def test_shorter_rows_are_padded_on_the_left() -> None:
    words = WORDS.repeat(2, 1)
    history = ImageTokens(torch.tensor([41, 42, 43, 44, 45]), torch.tensor([[1, 2], [1, 1]]))
    prompt = merge_prompt(words, ATTEND.repeat(2, 1), history)
    assert prompt.id_BS[1].tolist() == [PAD_ID, 5, 44, 6, 45, REFERENCE_SLOT, IMAGE_START]
    assert prompt.attend_BS.tolist() == [[1] * 7, [0] + [1] * 6]


def test_hidden_tokens_embed_as_zero_and_the_slot_as_the_reference() -> None:
    table = nn.Embedding(8, 3)
    reference = torch.tensor([[7.0, 8.0, 9.0]])
    embeds = embed_prompt(torch.tensor([[HIDDEN, 5, REFERENCE_SLOT]]), table, reference)
    expected = torch.stack([torch.zeros(3), table.weight[5], reference[0]])
    assert torch.equal(embeds[0], expected)


def test_a_literal_image_marker_among_the_words_is_refused(history: ImageTokens) -> None:
    words = WORDS.clone()
    words[0, 1] = IMAGE_START
    with pytest.raises(SettingsError, match="row 0 has 4 image placeholders for 2 history images"):
        merge_prompt(words, ATTEND, history)
