"""Write preference tokens as the released code does: over the whole vocabulary, any length.

In:  a causal language model of transformers, prompt embeddings, beams.
Out: ids; visual codes, then image end.

This project's own decoding has a head over visual ids alone and a fixed length. Here text ids
are computed and suppressed, and an image may end early, which released weights were read with.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pigeon_recsys.model.released_tokens import IMAGE_END, IMAGE_START, PAD_ID

# B rows, K beams returned of each, S prompt length, T written tokens, D width

FIRST_SUPPRESSED = 3  # words are; unknown, begin and end of a text stay possible


@dataclass(frozen=True)
class ReleasedWriting:
    """Limits of one image's tokens, and how many beams are kept; one beam is greedy."""

    min_tokens: int
    max_tokens: int
    num_beams: int = 1


@dataclass(frozen=True)
class ReleasedWritten:
    """Written ids, best beam first, and the mean log-probability of each beam."""

    id_KT: Tensor  # B·K rows
    score_K: Tensor | None  # none when greedy


@torch.no_grad()
def write_released(
    language_model: PreTrainedModel, embed_BSD: Tensor, attend_BS: Tensor, writing: ReleasedWriting
) -> ReleasedWritten:
    """Return the likeliest ids of each row, all beams; what follows image end is `PAD_ID`."""
    generate: Any = language_model.generate  # its own signature binds self a second time
    output = generate(
        inputs_embeds=embed_BSD,
        attention_mask=attend_BS,
        do_sample=False,
        num_beams=writing.num_beams,
        num_return_sequences=writing.num_beams,
        min_new_tokens=writing.min_tokens,
        max_new_tokens=writing.max_tokens,
        suppress_tokens=list(range(FIRST_SUPPRESSED, IMAGE_START)),
        eos_token_id=IMAGE_END,
        pad_token_id=PAD_ID,
        return_dict_in_generate=True,
        output_scores=True,
    )
    score_K = output.sequences_scores if writing.num_beams > 1 else None
    return ReleasedWritten(output.sequences, score_K)
