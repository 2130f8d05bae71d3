"""IP-Adapter-style: the history's mean features as a few tokens of an image prompt.

In:  liked pictures.
Out: a part of the prompt: image-prompt tokens.

Source: Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter for Text-to-Image Diffusion
Models", 2023, section 3.2: a frozen encoder's global image embedding, a linear layer and a layer
norm make four tokens, read by cross-attention of their own; only these parts are trained.
Scale: the encoder is the detokenizer's feature decoder, averaged over all tokens of all liked
pictures. The backbone has no cross-attention to decouple, so the four tokens stand in the prompt
and are read by its self-attention, which is not trained.
"""

from torch import Tensor, nn

from pigeon_recsys.alignment.baselines.prompted import Liked, embedding_size
from pigeon_recsys.backbones.base import Backbone
from pigeon_recsys.model.prompt import Part

# B rows, H liked images, T tokens per image, F feature width, P tokens of the image prompt

NUM_TOKENS = 4


class ImagePrompt(nn.Module):
    """The projection from image features to the language model's width."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        spec = backbone.spec
        self.to_prompt = nn.Linear(spec.feature_dim, NUM_TOKENS * spec.dim)
        self.norm = nn.LayerNorm(spec.dim)
        nn.init.constant_(self.norm.weight, embedding_size(backbone))

    def forward(self, backbone: Backbone, liked: Liked) -> Part:
        """Return the image prompt; a row without likes does not attend to it."""
        projected = self.to_prompt(mean_features(backbone, liked))
        prompt_BPD = self.norm(projected.unflatten(1, (NUM_TOKENS, -1)))
        return Part(prompt_BPD, liked.any_B[:, None].expand(-1, NUM_TOKENS))


def mean_features(backbone: Backbone, liked: Liked) -> Tensor:
    """Return feature_BF, the mean over all tokens of the pictures that are present."""
    num_rows = len(liked.present_BH)
    feature_NTF = backbone.features(liked.visual_BHT.flatten(0, 1))
    feature_BHF = feature_NTF.mean(dim=1).unflatten(0, (num_rows, -1))
    present_BH1 = liked.present_BH[..., None].to(feature_BHF.dtype)
    count_B1 = present_BH1.sum(dim=1).clamp(min=1)
    mean_BF: Tensor = (feature_BHF * present_BH1).sum(dim=1) / count_B1
    return mean_BF
