"""An adapter that comes and goes: the backbone before and after it is the same to the bit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.personalize import PersonalizeConfig, add_lora, lora_parameters


@contextmanager
def fresh_adapter(
    backbone: Backbone, config: PersonalizeConfig, seed: int
) -> Iterator[dict[str, nn.Parameter]]:
    """Put a new LoRA adapter into the language model for the block; yield its weights by name.

    The backbone must carry no adapter of its own: this one is told from the model's modules by
    their names.
    """
    model = backbone.language_model
    plain = {
        name: module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] in config.lora_targets
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # peft draws the adapter from the global generator
        add_lora(backbone, config)
    try:
        yield lora_parameters(backbone)
    finally:
        for name, module in plain.items():
            model.set_submodule(name, module)
        del model.peft_config
