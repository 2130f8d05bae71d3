"""A Pigeon small enough to build in milliseconds, untrained, with items to show it."""

from pathlib import Path

import torch

from pigeon_recsys.alignment.examples import ItemTokens
from pigeon_recsys.backbones.mini.backbone import MiniBackbone, MiniConfig
from pigeon_recsys.backbones.mini.refiner import RefinerConfig
from pigeon_recsys.backbones.mini.text import VOCABULARY_SIZE, learn_text_tokenizer
from pigeon_recsys.backbones.mini.visual_tokenizer import VisualTokenizerConfig
from pigeon_recsys.model.checkpoint import save_pigeon
from pigeon_recsys.model.mask import MaskConfig
from pigeon_recsys.model.pigeon import Pigeon, PigeonConfig

NUM_ITEMS = 12
SIDE = 24  # pixels, so 2 × 2 tokens


def tiny_backbone() -> MiniBackbone:
    """Build the backbone; each call gives the same weights."""
    torch.manual_seed(0)
    sizes = VisualTokenizerConfig(
        height=SIDE, width=SIDE, fine_channels=8, coarse_channels=8, dim=16, num_heads=2
    )
    config = MiniConfig(
        num_text=VOCABULARY_SIZE,
        dim=32,
        num_layers=2,
        num_heads=2,
        feed_forward=48,
        tokenizer=sizes,
        refiner=RefinerConfig(channels=(32, 32), attention_head_dim=8),
    )
    return MiniBackbone(config, learn_text_tokenizer(["a happy sticker"])).eval()


def tiny_pigeon(mask: MaskConfig | None = None) -> Pigeon:
    """Build one; each call gives the same weights, its adapter not at zero."""
    pigeon = Pigeon(tiny_backbone(), PigeonConfig(mask=mask or MaskConfig())).eval()
    with torch.no_grad():
        for name, weight in pigeon.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.02)
    return pigeon


def tiny_items(pigeon: Pigeon) -> ItemTokens:
    """Return twelve items `i0`, `i1`, … with ids and words."""
    spec = pigeon.backbone.spec
    generator = torch.Generator().manual_seed(1)
    visual_NT = torch.randint(
        spec.num_visual, (NUM_ITEMS, spec.tokens_per_image), generator=generator
    )
    words = tuple(pigeon.backbone.tokenize_text(f"sticker {n}") for n in range(NUM_ITEMS))
    return ItemTokens({f"i{n}": n for n in range(NUM_ITEMS)}, visual_NT, words)


def save_tiny_run(run: Path, pigeon: Pigeon) -> None:
    """Write a run folder as stage 1 leaves it."""
    tiny_backbone().save(run / "backbone")
    save_pigeon(run, pigeon, {"stage1": {"loss": 1.0}})
