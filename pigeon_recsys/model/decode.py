"""Write preference tokens: the visual ids of the personalized image, one after the other.

In:  a cache that holds the prompt, the part that differs between rows, sampling settings.
Out: visual ids.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.prompt import Part

# B rows, T tokens per image, S tokens of a part, D width, V visual ids


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. Temperature 0 takes the most probable one."""

    temperature: float = 0.5
    top_k: int = 50

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature must be at least 0, got {self.temperature}")
        if self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")


@torch.no_grad()
def write_tokens(
    backbone: Backbone,
    prefix: Part,
    suffix: Part,
    sampling: Sampling,
    generator: torch.Generator,
) -> Tensor:
    """Return visual_BT after `prefix` (one row, shared) and `suffix` (B rows).

    The prefix runs through the language model once; its keys and values are repeated for the
    rows of the suffix, which must end in image_start.
    """
    num_rows = suffix.embed_BSD.shape[0]
    cache = DynamicCache()
    backbone.hidden(prefix.embed_BSD, prefix.attend_BS, cache)
    cache.batch_repeat_interleave(num_rows)
    attend_BS = torch.cat([prefix.attend_BS.expand(num_rows, -1), suffix.attend_BS], dim=1)
    hidden_BSD = backbone.hidden(suffix.embed_BSD, attend_BS, cache)
    written: list[Tensor] = []
    for place in range(backbone.spec.tokens_per_image):
        token_B1 = draw(backbone.visual_logits(hidden_BSD[:, -1:])[:, 0], sampling, generator)
        written.append(token_B1)
        if place + 1 < backbone.spec.tokens_per_image:
            attend_BS = torch.cat([attend_BS, torch.ones_like(attend_BS[:, :1])], dim=1)
            hidden_BSD = backbone.hidden(backbone.embed_visual(token_B1, place), attend_BS, cache)
    return torch.cat(written, dim=1)


def draw(logit_BV: Tensor, sampling: Sampling, generator: torch.Generator) -> Tensor:
    """Return one id a row, token_B1."""
    if sampling.temperature == 0:
        return logit_BV.argmax(dim=-1, keepdim=True)
    top = logit_BV.topk(min(sampling.top_k, logit_BV.shape[-1]), dim=-1)
    probability_BK = torch.softmax(top.values / sampling.temperature, dim=-1)
    choice_B1 = torch.multinomial(probability_BK.cpu(), 1, generator=generator)
    return top.indices.gather(1, choice_B1.to(top.indices.device))
