"""A Pigeon small enough to build in milliseconds, untrained."""

from typing import get_args

import pytest
import torch

from pigeon_recsys.backbones.mini.backbone import MiniBackbone, MiniConfig
from pigeon_recsys.backbones.mini.refiner import RefinerConfig
from pigeon_recsys.backbones.mini.text import VOCABULARY_SIZE, learn_text_tokenizer
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizerConfig
from pigeon_recsys.model.personalize import PersonalizeConfig, ReferenceForm
from pigeon_recsys.model.pigeon import HISTORY_LENGTH, Pigeon, PigeonConfig
from pigeon_recsys.model.prompt import PromptBatch, pad_texts


@pytest.fixture
def backbone() -> MiniBackbone:
    torch.manual_seed(0)
    config = MiniConfig(
        num_text=VOCABULARY_SIZE,
        dim=32,
        num_layers=2,
        num_heads=2,
        feed_forward=48,
        tokenizer=VisualTokenizerConfig(
            height=24, width=36, fine_channels=8, coarse_channels=8, dim=16, num_heads=2
        ),
        refiner=RefinerConfig(channels=(32, 32), attention_head_dim=8),
    )
    return MiniBackbone(config, learn_text_tokenizer(["a happy sticker with a star"])).eval()


@pytest.fixture(params=get_args(ReferenceForm))
def pigeon(backbone: MiniBackbone, request: pytest.FixtureRequest) -> Pigeon:
    """In both forms of the reference: whatever holds of one must hold of the other."""
    torch.manual_seed(1)
    return Pigeon(
        backbone, PigeonConfig(personalize=PersonalizeConfig(reference_form=request.param))
    )


@pytest.fixture
def prompts(backbone: MiniBackbone) -> PromptBatch:
    """Three rows: a full history, one of two images, and one without a reference image."""
    generator = torch.Generator().manual_seed(2)
    tokens = backbone.spec.tokens_per_image
    codes = backbone.spec.num_visual
    present = torch.ones(3, HISTORY_LENGTH, dtype=torch.bool)
    present[1, :3] = False
    words = ["a happy sticker", "sad", "with a star"]
    text, has_text = pad_texts([backbone.tokenize_text(text) for text in words])
    return PromptBatch(
        history_BHT=torch.randint(codes, (3, HISTORY_LENGTH, tokens), generator=generator),
        present_BH=present,
        text_BL=text,
        has_text_BL=has_text,
        reference_BT=torch.randint(codes, (3, tokens), generator=generator),
        has_reference_B=torch.tensor([True, True, False]),
    )
