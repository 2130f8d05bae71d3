"""Personalization: the reference as one embedding, and LoRA on the language model.

In:  the kept reference tokens' features.
Out: `<emb>`, the embedding that stands for the reference in the prompt.
Source: Pigeon, section 3.3.
"""

from dataclasses import dataclass

from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from pigeon_recsys.backbones.base import Backbone

# B rows, T tokens, F feature width, D width of the language model


@dataclass(frozen=True)
class PersonalizeConfig:
    """Sizes of what stage 1 trains beside the mask generator; the defaults are the paper's."""

    reference_hidden: int = 128
    reference_dropout: float = 0.1
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")


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


def add_lora(backbone: Backbone, config: PersonalizeConfig) -> None:
    """Put LoRA adapters into the language model, in place; only they stay trainable there."""
    lora = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=list(config.lora_targets),
    )
    backbone.language_model = inject_adapter_in_model(lora, backbone.language_model)


def lora_parameters(backbone: Backbone) -> dict[str, nn.Parameter]:
    """Return the adapters' weights by name."""
    named = backbone.language_model.named_parameters()
    return {name: parameter for name, parameter in named if "lora_" in name}
