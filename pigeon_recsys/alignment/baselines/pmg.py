"""PMG-style: a preference as keywords and as soft embeddings that the language model makes.

In:  liked pictures and their captions.
Out: a part of the prompt: soft preference embeddings, then the keywords.

Source: Shen et al., "PMG: Personalized Multimodal Generation with Large Language Models", WWW
2024, section 3: a language model turns behaviour into preference keywords, and learned tokens at
the end of its prompt come out as soft embeddings of what words cannot say. Only these tokens and
a linear map are trained; the language model is frozen.
Scale: PMG's model reads captions of the pictures and writes the keywords. The mini language
model writes no words, so keywords are the words that stand out in the captions, and it reads the
pictures themselves, which gives this baseline more than the paper did. P-tuning inside the
layers and PMG's weighing of preference against target are left out.
"""

import torch
from torch import Tensor, nn

from pigeon_recsys.alignment.baselines.keywords import Keywords
from pigeon_recsys.alignment.baselines.plain_backbone import shown_history
from pigeon_recsys.alignment.baselines.prompted import Liked, Words, embedding_size, positions
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.prompt import Part, join, marker_part

# B rows, K soft embeddings, S tokens of a part, D width

NUM_SOFT = 8


class SoftPreference(nn.Module):
    """What PMG trains: tokens that ask for the preference, and the map of the answer."""

    def __init__(self, backbone: Backbone, keywords: Keywords) -> None:
        super().__init__()
        dim, size = backbone.spec.dim, embedding_size(backbone)
        self.keywords = keywords
        self.query_KD = nn.Parameter(torch.randn(NUM_SOFT, dim) * size)
        self.to_prompt = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        nn.init.constant_(self.norm.weight, size)

    def forward(self, backbone: Backbone, liked: Liked) -> Part:
        """Return soft embeddings and keywords; a row without likes attends to neither."""
        texts = [", ".join(self.keywords.pick(captions)) for captions in liked.captions]
        keywords = Words.of(backbone, texts).part(backbone)
        soft_BKD = self.norm(self.to_prompt(self._answers(backbone, liked, keywords)))
        return join([Part(soft_BKD, self._asked(liked)), keywords])

    def _answers(self, backbone: Backbone, liked: Liked, keywords: Part) -> Tensor:
        """Return hidden_BKD of the learned tokens behind all that is known of the user."""
        num_rows = len(liked.present_BH)
        reading = join(
            [
                marker_part(backbone, "document_start", num_rows),
                shown_history(backbone, liked),
                keywords,
                Part(self.query_KD.expand(num_rows, -1, -1), self._asked(liked)),
            ]
        )
        hidden_BSD = backbone.hidden(
            reading.embed_BSD, reading.attend_BS, position_BT=positions(reading.attend_BS)
        )
        return hidden_BSD[:, -NUM_SOFT:]

    def _asked(self, liked: Liked) -> Tensor:
        return liked.any_B[:, None].expand(-1, NUM_SOFT)
