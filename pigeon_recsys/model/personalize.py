"""Personalization: the reference as one embedding, and LoRA on the language model.

In:  the kept reference tokens' features.
Out: `<emb>`, the embedding that stands for the reference in the prompt.
Source: Pigeon, section 3.3.

Preference alignment compares the model with its former self. Both share one language model:
the policy's adapter learns, a frozen copy of it is the reference model, and only one of the
two is switched on at a time.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.errors import SettingsError

# B rows, T tokens, F feature width, D width of the language model

POLICY = "default"  # the adapter that trains and is saved; peft's own name for a first one
REFERENCE = "reference"  # its frozen copy; only there while preferences are aligned

ReferenceForm = Literal["embedding", "tokens"]


@dataclass(frozen=True)
class PersonalizeConfig:
    """Sizes of what stage 1 trains beside the mask generator; the defaults are the paper's.

    `reference_form` says how the reference image stands in the prompt: as one embedding, or as
    its kept tokens, which say where things are. That takes a backbone trained on documents with
    reference pictures, and suits data that shows the same thing in several styles.
    """

    reference_hidden: int = 128
    reference_dropout: float = 0.1
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    reference_form: ReferenceForm = "embedding"

    def __post_init__(self) -> None:
        forms = get_args(ReferenceForm)
        if self.reference_form not in forms:
            raise SettingsError(
                f"personalize.reference_form must be one of {forms}, got {self.reference_form!r}."
            )


class ReferenceEmbedding(nn.Module):
    """Mean over positions, then two linears, tanh and dropout (no activation between)."""

    def __init__(self, feature_dim: int, dim: int, config: PersonalizeConfig) -> None:
        super().__init__()
        self.encoder = nn.Linear(feature_dim, config.reference_hidden)
        self.decoder = nn.Linear(config.reference_hidden, dim)
        self.dropout = nn.Dropout(config.reference_dropout)

    def forward(self, feature_BTF: Tensor) -> Tensor:
        """Return embedding_BD."""
        hidden_BD = self.dropout(self.encoder(feature_BTF.mean(dim=1)))
        embedding_BD: Tensor = self.dropout(self.decoder(hidden_BD).tanh())
        return embedding_BD


def add_lora(backbone: Backbone, config: PersonalizeConfig, name: str = POLICY) -> None:
    """Put LoRA adapters into the language model, in place; only they stay trainable there."""
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_targets),
    )
    backbone.language_model = inject_adapter_in_model(lora, backbone.language_model, name)


def lora_parameters(backbone: Backbone, name: str = POLICY) -> dict[str, nn.Parameter]:
    """Return one adapter's weights by their names in the language model."""
    named = backbone.language_model.named_parameters()
    return {key: value for key, value in named if "lora_" in key and f".{name}." in key}


def freeze_reference(backbone: Backbone, config: PersonalizeConfig) -> None:
    """Add the reference adapter: a frozen copy of the policy's as it is now."""
    with warnings.catch_warnings():
        # peft asks whether two adapters are meant: they are.
        warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")
        add_lora(backbone, config, REFERENCE)
    policy = lora_parameters(backbone, POLICY)
    with torch.no_grad():
        for name, weight in lora_parameters(backbone, REFERENCE).items():
            weight.copy_(policy[name.replace(f".{REFERENCE}.", f".{POLICY}.")])
    _switch_to(backbone, POLICY)


@contextmanager
def reference_model(backbone: Backbone) -> Iterator[None]:
    """Run the language model as the reference inside the block; nothing there has gradients."""
    _switch_to(backbone, REFERENCE)
    try:
        with torch.no_grad():
            yield
    finally:
        _switch_to(backbone, POLICY)


def _switch_to(backbone: Backbone, name: str) -> None:
    """Switch one adapter on and all others off; the policy is trainable while it is on."""
    for module in backbone.language_model.modules():
        if isinstance(module, LoraLayer):
            module.set_adapter(name, inference_mode=name != POLICY)


def merge_lora(backbone: Backbone) -> None:
    """Add the adapters' change to the weights they adapt, in place: less work for each token."""
    for module in backbone.language_model.modules():
        if isinstance(module, LoraLayer):
            module.merge()
