"""Pretrained scorers, on tiny random checkpoints in the published file layout."""

import numpy as np
import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    Dinov2Config,
    Dinov2Model,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from pigeon_recsys.errors import ArtifactError
from pigeon_recsys.evaluation.feature_networks import ClipNetwork, DinoNetwork
from pigeon_recsys.evaluation.network_identity import tensor_hashes

LAYERS = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16}
TOKENS = {"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "b</w>": 3, "a": 4, "b": 5}


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "tiny-clip"
    text = LAYERS | {
        "intermediate_size": 16,
        "vocab_size": len(TOKENS),
        "max_position_embeddings": 8,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    vision = LAYERS | {"intermediate_size": 16, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    CLIPProcessor(
        CLIPImageProcessorPil(**sizes), CLIPTokenizer(vocab=TOKENS, merges=[])
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dino_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "tiny-dino"
    torch.manual_seed(0)
    config = Dinov2Config(**LAYERS, mlp_ratio=1, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    sizes = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    BitImageProcessorPil(**sizes).save_pretrained(folder)
    return folder


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, size, dtype=np.uint8) for size in ((40, 30, 3), (72, 72, 3))]


def test_clip_reads_pictures_and_texts_into_one_space(clip_folder, pictures):
    clip = ClipNetwork.load(str(clip_folder))
    images, texts = clip.image_vectors(pictures), clip.text_vectors(["a b", "b", "a"])
    assert (images.shape, texts.shape) == ((2, 8), (3, 8))
    assert np.linalg.norm(images, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert np.linalg.norm(texts, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert clip.label == "CLIP tiny-clip"


def test_clip_cuts_a_text_longer_than_it_reads(clip_folder):
    """Positions for 8 tokens: a start, an end and 6 words."""
    clip = ClipNetwork.load(str(clip_folder))
    short, long = clip.text_vectors(["a " * 6, "a " * 6 + "b b b"])
    assert short == pytest.approx(long, abs=1e-6)


def test_a_pictures_vector_does_not_depend_on_its_batch(clip_folder, pictures):
    clip = ClipNetwork.load(str(clip_folder))
    assert clip.image_vectors(pictures)[1] == pytest.approx(
        clip.image_vectors(pictures[1:])[0], abs=1e-5
    )


def test_dino_gives_the_normalised_class_token(dino_folder, pictures):
    dino = DinoNetwork.load(str(dino_folder))
    vectors = dino.image_vectors(pictures)
    assert vectors.shape == (2, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert dino.tensor_hashes == tensor_hashes(
        Dinov2Model.from_pretrained(dino_folder).state_dict()
    )


@pytest.mark.parametrize(
    ("network", "option"), [(ClipNetwork, "--clip"), (DinoNetwork, "--dino")], ids=["clip", "dino"]
)
def test_a_checkpoint_that_is_not_there_says_how_to_get_it(network, option, tmp_path):
    with pytest.raises(ArtifactError, match=rf"cannot be loaded.*hf download .*pass {option} DIR"):
        network.load(str(tmp_path))
